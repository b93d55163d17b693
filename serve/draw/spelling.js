// From the texts of root, vowel sign and consonant sign to the grapheme they spell: okkhor.labels in the browser.

const RA = "\u09b0", HASANTA = "\u09cd", JOINER = "\u200d", CHANDRABINDU = "\u0981", NOTHING = "0";
const REPH = RA + HASANTA, YA_PHALA = `${HASANTA}\u09af`;

export function spelled(root, vowel, consonant) {
  let [before, after, last] = around(consonant);
  if (root === RA && after.startsWith(YA_PHALA)) after = JOINER + after; // else these letters read as a reph over ya
  return (before + root + after + (vowel === NOTHING ? "" : vowel) + last).normalize("NFC");
}

/** Where a consonant sign goes: before the root, right after it, and after the vowel sign. */
function around(sign) {
  if (sign === NOTHING) return ["", "", ""];
  if (sign === CHANDRABINDU) return ["", "", sign];
  if (!sign.startsWith(REPH)) return ["", sign, ""];
  const rest = sign.slice(REPH.length);
  return [REPH, rest && HASANTA + rest, ""];
}
