// From the texts of all heads to what they spell together: okkhor.labels in the browser.

const NOTHING = "0"; // how the label map writes that there is no mark

export function spelled(...texts) {
  return texts.filter((text) => text !== NOTHING).join("").normalize("NFC");
}
