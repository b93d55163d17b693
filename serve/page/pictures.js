// Pictures that come to the paper: uploaded, pasted, dropped, or picked from the samples.

const $ = (id) => document.getElementById(id);

/** Call take(file, name) for every picture that somebody brings. */
export function received(take) {
  $("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) take(target.files[0], "an uploaded image");
    target.value = ""; // the same file again is a change, too
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) take(file, "a pasted image");
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      $("sheet").classList.toggle("aimed", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) take(event.dataTransfer.files[0], "a dropped image");
    });
  }
}

/** Show the samples, [{text, src}], as buttons; take(blob, name) when one is picked, missing() when it cannot be had. */
export function offer(samples, take, missing) {
  if (!$("sample-list").children.length) $("sample-list").append(...samples.map((one) => button(one, take, missing)));
  $("samples").hidden = samples.length === 0;
}

function button({ text, src }, take, missing) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  const image = Object.assign(document.createElement("img"), { src, alt: text, width: 236, height: 137 });
  image.lang = "bn";
  button.append(image);
  button.addEventListener("click", async () => {
    try {
      const response = await fetch(src);
      if (!response.ok) return missing();
      await take(await response.blob(), `the sample ${text}`);
    } catch {
      missing();
    }
  });
  return button;
}
