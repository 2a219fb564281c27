/** What Python and `inkling`'s commands print. Knows nothing of VS Code. */

export const MIN_PYTHON = [3, 11] as const;

/** Whether the output of `python --version` tells of a Python that Inkling runs on. */
export function isRecentPython(output: string): boolean {
  const [, major, minor] = /Python (\d+)\.(\d+)/.exec(output) ?? [];
  const isThree = Number(major) === MIN_PYTHON[0] && Number(minor) >= MIN_PYTHON[1];
  return isThree || Number(major) > MIN_PYTHON[0];
}

/** A line of `inkling doctor` and what it advises. */
export interface Finding {
  mark: string;
  name: string;
  fact: string;
  cure: string;
}

export function parseFindings(output: string): Finding[] {
  const findings: Finding[] = [];
  for (const line of output.split(/\r?\n/)) {
    const [, mark, name, fact] = /^([✓–!✗]) (.+?) {2,}(.*)$/u.exec(line) ?? [];
    const [, cure] = /^\s+→ (.*)$/u.exec(line) ?? [];
    const last = findings.at(-1);
    if (mark !== undefined && name !== undefined && fact !== undefined) {
      findings.push({ mark, name, fact, cure: '' });
    } else if (cure !== undefined && last) {
      last.cure = cure;
    }
  }
  return findings;
}

/** Whether it keeps Inkling from working. */
export function isFatal({ mark }: Finding): boolean {
  return mark === '✗';
}

/** One sentence of what `inkling doctor` found: what keeps it from working, else model and GPU. */
export function summary(findings: readonly Finding[]): string {
  const fatal = findings.find(isFatal);
  if (fatal) {
    return `${fatal.name}: ${fatal.fact}${fatal.cure ? ` → ${fatal.cure}` : ''}`;
  }
  const facts = ['model', 'GPU'].flatMap((name) => findings.find((each) => each.name === name) ?? []);
  return facts.map(({ name, fact }) => `${name}: ${fact}`).join('; ');
}

/** A line of `inkling model list`. */
export interface Model {
  name: string;
  size: string;
  words: string;
  isChosen: boolean;
}

export function parseModels(output: string): Model[] {
  return output.split(/\r?\n/).flatMap((line) => {
    const [, mark, name, size, words] = /^([* ]) (\S+) +([\d.]+ \w*B) {2}(.*)$/.exec(line) ?? [];
    return name === undefined || size === undefined || words === undefined
      ? []
      : [{ name, size, words, isChosen: mark === '*' }];
  });
}
