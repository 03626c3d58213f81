"use strict";
for (const clip of document.querySelectorAll("article.clip")) {
  const audio = clip.querySelector("audio");
  const start = Number(audio.dataset.start);
  const plots = clip.querySelectorAll(".plot svg");
  const show = () => {
    for (const line of clip.querySelectorAll(".cursor")) {
      line.setAttribute("x1", audio.currentTime);
      line.setAttribute("x2", audio.currentTime);
    }
  };
  const follow = () => {
    show();
    if (!audio.paused && !audio.ended) requestAnimationFrame(follow);
  };
  const begin = () => { if (audio.currentTime === 0) audio.currentTime = start; };
  if (audio.readyState > 0) begin(); else audio.addEventListener("loadedmetadata", begin, { once: true });
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    follow();
  });
  for (const event of ["seeking", "seeked", "timeupdate", "pause"]) audio.addEventListener(event, show);
  for (const plot of plots) {
    plot.addEventListener("click", (click) => {
      const place = plot.getBoundingClientRect();
      audio.currentTime = (click.clientX - place.left) / place.width * plot.viewBox.baseVal.width;
    });
  }
  for (const button of clip.querySelectorAll("button[data-seek]")) {
    button.addEventListener("click", () => {
      audio.currentTime = Number(button.dataset.seek);
      audio.play();
    });
  }
}
const filters = document.querySelector("form.filters");
if (filters) {
  const clips = document.querySelectorAll("article.clip, .others tbody tr");
  const filter = () => {
    let shown = 0;
    for (const clip of clips) {
      clip.hidden = ![...filters.querySelectorAll("select")].every(
        (select) => select.value === "*" || select.value === "=" + clip.dataset[select.name]);
      if (!clip.hidden) shown += 1;
      else clip.querySelector("audio")?.pause();
    }
    filters.querySelector("output").textContent = `${shown} of ${clips.length} clips`;
  };
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("change", filter);
  filter();
}
/* what is folded on a screen is open on paper */
const folded = [];
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    folded.push(details);
  }
});
addEventListener("afterprint", () => {
  for (const details of folded.splice(0)) details.open = false;
});
