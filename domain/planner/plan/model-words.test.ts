import { describe, expect, it } from 'vitest';
import { holdsCallText } from '#domain/planner/tools/call-as-text.ts';
import { MODEL_NOTICES, withoutEchoes } from '#domain/planner/model/model-notices.ts';
import { wordsOf } from './model-words.ts';
import { cpuMsOf } from '#test/support/cpu-time.ts';

describe('what a model thinks', () => {
  it.each([
    ['<think>Hm.</think>Fertig.', 'Fertig.'],
    ['<think>\nHm.\n</think>\n\nFertig.', 'Fertig.'],
    ['<THINKING effort="low">Hm.</THINKING>Fertig.', 'Fertig.'],
    ['<reasoning>Hm.</reasoning>Fertig.', 'Fertig.'],
    ['<thought>Hm.</thought>Fertig.<scratchpad>x</scratchpad>', 'Fertig.'],
    ['<seed:think>Hm.</seed:think>Fertig.', 'Fertig.'],
    ['[THINK]Hm.[/THINK]Fertig.', 'Fertig.'],
    ['◁think▷Hm.◁/think▷Fertig.', 'Fertig.'],
    ['<|begin_of_thought|>Hm.<|end_of_thought|>Fertig.', 'Fertig.'],
    ['&lt;think&gt;Hm.&lt;/think&gt;Fertig.', 'Fertig.'],
    ['Erst.<think>a<think>b</think>c</think> Dann.', 'Erst. Dann.'],
    [
      '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Fertig.<|return|>',
      'Fertig.',
    ],
    ['<|channel>thought\nHm.<channel|><|channel|>final<|message|>Fertig.', 'Fertig.'],
    ['analysisHm, so.assistantfinalFertig.', 'Fertig.'],
  ])('is cut: %s', (content, words) => expect(wordsOf(content)).toBe(words));

  it('reaches to the end where it has none, and from the beginning where only its end came', () => {
    expect(wordsOf('<think>Ich könnte create_task({"title":"x"}) aufrufen, aber')).toBe('');
    expect(wordsOf('Erst.\n<thinking>Hm')).toBe('Erst.');
    expect(wordsOf('Hm, also.</think>Fertig.')).toBe('Fertig.');
    expect(wordsOf('<|channel|>analysis<|message|>We need')).toBe('');
  });

  it('is no quotation of a tag, and no word that only begins so', () => {
    for (const words of ['Nutze `<think>` so.', 'Think <thinker> x', '2 < 3 > 1'])
      expect(wordsOf(words)).toBe(words);
  });
});

describe('echoes of what the model was told', () => {
  it.each(Object.values(MODEL_NOTICES).flatMap((notices) => Object.values<string>({ ...notices })))(
    'are cut, whole and by the sentence: %s',
    (notice) => {
      expect(wordsOf(notice)).toBe('');
      expect(wordsOf(`${notice}\n\nFertig.`)).toBe('Fertig.');
      const [sentence = ''] = notice.split(/(?<=\.)\s/);
      expect(wordsOf(`${sentence} Fertig.`)).toBe('Fertig.');
    },
  );

  it.each(['recorded', 'Recorded.', '"recorded"\nrecorded', '…', '...', ' ', '\u0000'])(
    'are cut where nothing else was said: %j',
    (content) => expect(wordsOf(content)).toBe(''),
  );

  it('leave words alone that only hold them', () =>
    expect(withoutEchoes('Ich habe alles recorded.')).toBe('Ich habe alles recorded.'));
});

it('control tokens, NUL and halves of characters are no words', () =>
  expect(wordsOf('Fer\u0000tig \ud83d.<|im_end|><｜end▁of▁sentence｜>')).toBe('Fertig \ufffd.'));

it('the work on a text is linear, whatever it is made of', () => {
  const pieces = [
    ...[
      '<think>',
      '</think>',
      '<',
      '<think ',
      '&lt;',
      '[',
      '{"',
      '```',
      '<|channel|>',
      '<|start|>',
      '<|',
      '◁',
    ],
    ...[
      'create_task',
      'create_task(',
      '"name": "',
      'recorded ',
      '\n',
      'a ',
      'to=',
      '<function=',
      MODEL_NOTICES.en.empty,
    ],
  ];
  for (const piece of pieces) {
    const text = piece.repeat(Math.ceil(400_000 / piece.length));
    const cpuMs = cpuMsOf(() => holdsCallText(wordsOf(text)));
    // Tens of milliseconds; quadratic work would be minutes.
    expect(cpuMs, piece).toBeLessThan(2_000);
  }
});
