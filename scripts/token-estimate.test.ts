import { countTokens } from 'gpt-tokenizer/encoding/cl100k_base';
import { describe, expect, it } from 'vitest';
import { tokensIn } from '#bench/tokens/count.ts';
import { documented, plainEnglish, plainGerman, proposeAll, typical } from '#bench/tokens/scenarios.ts';
import { simulateRun, typicalModel } from '#bench/tokens/simulate.ts';
import { tokenReport } from '#bench/tokens/report.ts';
import { callSize } from '#domain/run/budget.ts';
import catalog from '#domain/planner/tools/tool-catalog.json' with { type: 'json' };
import { FAILURE_TEXTS, FAILURE_TEXTS_EN } from '#domain/run/failure-texts.ts';
import { estimateTokens } from '#domain/planner/model/token-estimate.ts';
import { tokensOfMessages } from '#domain/planner/plan/fit-conversation.ts';
import { cpuMsOf } from '#test/support/cpu-time.ts';

/** What a call reserves for its request, by estimate, against what o200k counts. */
const reserved = (text: string): number => callSize(estimateTokens(text), 0).atMostTokens;

const TEXTS: Readonly<Record<string, string>> = {
  German: Object.values(FAILURE_TEXTS).join('\n'),
  'German of everyday':
    'Der Ausflug beginnt am Freitagnachmittag. Bitte denk daran, dass die Isomatten bei Jonas liegen und er sie erst mitbringt, wenn er von der Arbeit kommt. Außerdem brauchen wir noch Gaskartuschen, Streichhölzer und eine Taschenlampe; die Wettervorhersage verspricht nichts Gutes.',
  English: Object.values(FAILURE_TEXTS_EN).join('\n'),
  Chinese:
    '明天上午九点和王经理开会,讨论下个季度的预算。请提前准备好销售数据,并把会议记录发给所有人。如果下雨,我们改在线上进行。周末计划去爬山,需要准备帐篷、睡袋和食物。',
  Japanese:
    '明日の午前九時に会議があります。来季の予算について話し合うので、売上のデータを準備してください。雨が降ったらオンラインで行います。週末は山に登る予定なので、テントと寝袋が必要です。',
  Korean:
    '내일 오전 아홉 시에 회의가 있습니다. 다음 분기 예산을 논의할 예정이니 판매 자료를 준비해 주세요. 비가 오면 온라인으로 진행합니다. 주말에는 등산을 갈 계획이라 텐트와 침낭이 필요합니다.',
  JSON: JSON.stringify(catalog),
  'JSON of records': JSON.stringify(
    Array.from({ length: 10 }, (_, index) => ({
      ...{ id: `0e3b1d52-7c1f-4a55-9d0e-00000000000${index}`, title: 'Zelt prüfen', isCompleted: false },
      ...{ dueDate: '2026-12-01T14:30+01:00', priority: 'high', amount: 12.5 },
    })),
  ),
};

describe('a reservation for a request lies between the real count and one and a half times of it', () => {
  it.each(Object.entries(TEXTS))('of %s', (_, text) => {
    expect(reserved(text)).toBeGreaterThanOrEqual(tokensIn(text));
    expect(reserved(text)).toBeLessThanOrEqual(tokensIn(text) * 1.5);
  });

  it.each(
    [plainGerman, plainEnglish, proposeAll, typical, documented].map((each) => [each.name, each] as const),
  )('of a whole request: %s', (name, scenario) => {
    const [first] = simulateRun(scenario, typicalModel);
    const { messages = [], tools = [] } = first ?? {};
    const atMost = callSize(
      tokensOfMessages(messages) + estimateTokens(JSON.stringify(tools)),
      0,
    ).atMostTokens;
    const counted = [...tokenReport().first, ...tokenReport().run].find((each) => each.name === name)?.total;
    const real = counted ?? tokensIn(JSON.stringify(messages)) + tokensIn(JSON.stringify(tools));
    expect(atMost).toBeGreaterThanOrEqual(real);
    expect(atMost).toBeLessThanOrEqual(real * 1.5);
    // Of another tokenizer, which takes more for German.
    const texts = [...messages.map(({ content }) => content ?? ''), JSON.stringify(tools)];
    const other = texts.reduce((sum, text) => sum + countTokens(text), 0);
    expect(atMost).toBeGreaterThanOrEqual(other);
    expect(atMost).toBeLessThanOrEqual(other * 1.5);
  });
});

describe('what is no language', () => {
  it.each([
    [
      'hexadecimal digits',
      Buffer.from(Array.from({ length: 300 }, (_, i) => (i * i * 7919 + i * 131) % 256)).toString('hex'),
    ],
    ['emoji', '🎉🎂🏔️⛺🌧️😀👩‍👩‍👧‍👦'.repeat(5)],
    ['Thai', 'พรุ่งนี้เวลาเก้าโมงเช้ามีประชุมกับผู้จัดการ'],
    ['one endless word', 'x'.repeat(10_000)],
  ])('counts for as much as it is, or for more: %s', (_, text) =>
    expect(reserved(text)).toBeGreaterThanOrEqual(tokensIn(text)),
  );

  it('takes no longer than its length', () => {
    const cpuMs = cpuMsOf(() => {
      for (const text of ['x', '🎉', ' ', '"', '字', '1a']) estimateTokens(text.repeat(500_000));
    });
    expect(cpuMs).toBeLessThan(2_000);
  });
});
