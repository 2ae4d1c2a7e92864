import type { InjectionMark } from './injection-codes.ts';
import { TOOL_CATALOG } from './tool-catalog.ts';

/**
 * Wordings, German and English, as `plainView` shows them: lower case, single blanks. Each asks for two or three parts
 * that ordinary notes do not have together ("ignore", "all", "instructions"), with at most a few words between them.
 */

/** Up to `words` words between two parts; separators and words cannot overlap, so there is nothing to backtrack over. */
const gap = (words: number): string => `(?:[^\\p{L}\\d]+[\\p{L}\\d'-]+){0,${words}}?[^\\p{L}\\d]+`;
const phrase = (...parts: readonly string[]): RegExp => new RegExp(`(?<![\\p{L}\\d])${parts.join('')}`, 'u');
const any = (list: string): string =>
  `(?:${list
    .trim()
    .split(/\s*\n\s*|\s*\|\s*/)
    .join('|')})`;

const MODEL = any(String.raw`
  ais? | ki | llms? | gpt(?:-?\d+)? | chatgpt | claude | gemini | copilot | language models? | sprachmodelle?
  ki-(?:assistent|agent|modell|system)\p{L}* | ai[ -](?:assistants?|agents?|models?|systems?|planners?)
  ki[ -]?planer\p{L}* | sprachassistent\p{L}*`);
const ORDERS_EN = any(String.raw`
  instructions? | rules | guidelines? | directives? | orders | constraints | prompts? | system prompt | programming
  restrictions | safeguards | policies | policy`);
const ORDERS_DE = any(String.raw`
  anweisung\p{L}* | instruktion\p{L}* | regeln? | vorgaben? | befehl\p{L}* | auftrag\p{L}* | aufträge\p{L}*
  richtlinie\p{L}* | system-?prompt\p{L}* | prompts? | systemnachricht\p{L}* | einschränkung\p{L}* | vorschrift\p{L}*`);
const EARLIER_EN = any(String.raw`
  previous | prior | above | earlier | all | any | your | preceding | existing | original | former | other | current
  initial | the system | the mission's | old | every | everything`);
const EARLIER_DE = any(String.raw`
  vorherig\p{L}* | bisherig\p{L}* | früher\p{L}* | obig\p{L}* | oben\p{L}* | alle[sn]? | sämtlich\p{L}* | deine[rnsm]?
  vorangegangen\p{L}* | vorangehend\p{L}* | ursprünglich\p{L}* | vorig\p{L}* | eigentlich\p{L}* | ander\p{L}* | zuvor
  vorhin | jegliche\p{L}* | bestehend\p{L}* | letzte\p{L}* | alte[nsr]? | bis jetzt | aktuell\p{L}* | eure\p{L}*`);

const IGNORE: readonly RegExp[] = [
  phrase(
    any(String.raw`ignor(?:e|ing) | disregard(?:ing)? | forget | override | overrule | bypass | neglect | dismiss
      do not (?:follow|obey) | don't (?:follow|obey) | stop following | abandon | discard | drop`),
    gap(3),
    EARLIER_EN,
    gap(4),
    ORDERS_EN,
    '(?!\\p{L})',
  ),
  phrase(
    any(String.raw`ignorier\p{L}* | vergiss | vergesst | vergessen sie | missachte\p{L}* | überschreib\p{L}* | verwirf
      übergeh\p{L}* | umgeh\p{L}* | streiche | lösche`),
    gap(3),
    EARLIER_DE,
    gap(4),
    ORDERS_DE,
  ),
  phrase(
    any(
      'ignore | ignoring | disregard | break | violate | ignoriere? | missachte? | brich | umgehe? | verletze?',
    ),
    gap(6),
    any("the user's | user's | regeln | vorgaben | wünsche | anweisungen"),
    gap(1),
    any('rules | wishes | instructions | guidelines | des nutzers | des benutzers | der nutzerin'),
  ),
  phrase(
    any(String.raw`beachte | befolge | folge | berücksichtige | halte dich`),
    gap(3),
    EARLIER_DE,
    gap(3),
    ORDERS_DE,
    gap(2),
    'nicht',
  ),
  phrase(
    EARLIER_EN,
    gap(3),
    any('instructions | rules | guidelines | directives | prompts?'),
    gap(4),
    any(String.raw`void | cancelled | canceled | superseded | no longer apply | do not apply | don't apply | obsolete
      revoked | suspended`),
  ),
  phrase(
    any(
      String.raw`bisherig\p{L}* | vorherig\p{L}* | deine | obig\p{L}* | früheren | alle anderen | ursprünglich\p{L}*`,
    ),
    gap(2),
    any(String.raw`anweisungen | instruktionen | vorgaben | befehle | anordnungen`),
    gap(4),
    any(String.raw`außer kraft | aufgehoben | ungültig | nicht mehr | hinfällig | gegenstandslos | überholt`),
  ),
  phrase(
    any(String.raw`your | the | you have a`),
    ' ',
    any('new | real | actual | true | updated | only'),
    gap(1),
    any('task | goal | mission | instructions? | objective | job | purpose'),
    gap(1),
    any('is | are | now | from now'),
  ),
  phrase(
    any('deine[rn]? | die'),
    ' ',
    any('neue[nr]? | wahre[nr]? | eigentliche[nr]? | wirkliche[nr]? | tatsächliche[nr]? | einzige[nr]?'),
    gap(1),
    any(String.raw`aufgabe | mission | anweisung\p{L}* | auftrag | ziel`),
    gap(1),
    any('ist | lautet | lauten | sind | besteht'),
  ),
  /(?:^|\n) ?(?:new|updated|revised|hidden|secret|additional) (?:system )?instructions?(?: for [^\n:]{1,40})?:/u,
  /(?:^|\n) ?(?:neue|geheime|aktualisierte|zusätzliche|versteckte) (?:system-?)?anweisung(?:en)?(?: (?:an|für) [^\n:]{1,40})?:/u,
  phrase(
    any('instead of | statt | anstatt | anstelle'),
    gap(3),
    any(String.raw`the mission | your (?:task|instructions|mission)
    der mission | deiner (?:aufgabe|anweisung\p{L}*|mission) | deines auftrags | deine mission | die mission`),
  ),
  phrase(
    any(
      String.raw`brich | beende | stoppe | vergiss | ignoriere | abort | cancel | stop | ignore | forget | abandon`,
    ),
    gap(1),
    any('die | deine | diese | the | this | your | current | aktuelle'),
    gap(1),
    any(String.raw`mission | aufgabenstellung | original task | actual task`),
  ),
];

const ROLE = any(String.raw`
  assisten\p{L}* | agent\p{L}* | ki | ai | modell | model | bot | chatbot | system | admin\p{L}* | entwickler\p{L}*
  developer | modus | mode | hacker | root | operator | unrestricted | uneingeschränkt\p{L}* | unzensiert\p{L}*
  uncensored | dan | jailbr\p{L}* | frei von | free (?:of|from) | ohne (?:regeln|einschränkungen|filter) | no longer
  nicht (?:mehr|länger) (?:der|ein|mana|an) | evil | pirate | pirat\p{L}* | superuser | hilfsprogramm | exporter`);
const ROLE_CHANGE: readonly RegExp[] = [
  phrase(
    any(
      "you are (?:now|no longer|actually|really|from now on) | from now on,? you are | you will now be | you're now",
    ),
    gap(5),
    ROLE,
  ),
  phrase(
    any('du bist (?:jetzt|nun|ab jetzt|ab sofort|ab nun|in wahrheit|nicht (?:mehr|länger)|eigentlich)'),
    gap(5),
    ROLE,
  ),
  phrase(
    'ab (?:jetzt|sofort|nun|hier) ',
    any('bist du | handelst du | agierst du | antwortest du | gehorchst du | folgst du | arbeitest du'),
  ),
  phrase('from (?:now|here) on,? you (?:act|obey|respond|answer|behave|follow|must|will|only|work)'),
  phrase('(?:act|behave|respond|operate) (?:as|like)', gap(4), ROLE),
  phrase('(?:verhalte dich|handle|agiere|antworte) (?:wie|als)', gap(4), ROLE),
  phrase('pretend (?:you are|to be|that you)', gap(4), ROLE),
  phrase('(?:tu so,? als|stell dir vor,? du|spiele? die rolle|schlüpfe in die rolle)', gap(6), ROLE),
  phrase(
    '(?:enter|enable|activate|switch to|entering|aktiviere|wechsle in|starte)',
    gap(3),
    any(String.raw`
    developer mode | debug mode | god mode | admin mode | maintenance mode | dan mode | unrestricted mode | sudo mode
    entwicklermodus | debug-?modus | admin-?modus | administratormodus | wartungsmodus | freien modus`),
  ),
  /(?<!\p{L})(?:jailbreak|do anything now|developer mode enabled|entwicklermodus aktiv)/u,
];

const PROMPT = any(String.raw`
  system[ -]?prompts? | system message | systemnachricht | system-?anweisung\p{L}* | systemtext | hidden (?:prompt|rules)
  initial (?:prompt|instructions) | developer message | your (?:own )?(?:instructions|rules|guidelines|prompt)
  deine (?:eigenen |internen |geheimen )?(?:anweisungen|regeln|instruktionen|vorgaben) | deinen (?:gesamten )?prompt
  (?:text|everything|words|lines|content) above (?:this|the|verbatim) | alles (?:oberhalb|über dieser|vor dieser|was über)
  interne[nrs]? (?:anweisungen|regeln|konfiguration)`);
const SYSTEM_PROMPT: readonly RegExp[] = [
  phrase(
    any(String.raw`reveal | print | repeat | output | show | leak | copy | include | quote | paste | expose | disclose
      write | dump | return | recite | summari[sz]e | translate | put | send | store | save`),
    gap(5),
    PROMPT,
  ),
  phrase(
    any(String.raw`gib | zeige? | wiederhole? | verrate? | nenne? | schreibe? | zitiere? | füge? | kopiere? | drucke?
      offenbare? | liste | übersetze | fasse | poste | sende? | schicke? | speichere | enthülle`),
    gap(6),
    PROMPT,
  ),
];

const FAKE_DELIMITER: readonly RegExp[] = [
  /<\|[a-z_]{2,24}\|>/u,
  /\[\/?inst\]|<<\/?sys>>|<\/?s>\s*\[/u,
  /<\/?(?:system|assistant|instructions?|prompt|user_input|human|data|untrusted|developer)(?:[ _-][^>\n]{0,40})?>/u,
  /<<<[0-9a-f]{6}|[0-9a-f]{6}>>>|<<<\s*(?:end|ende|data|system)|(?:end|ende|data|system)\s*>>>/u,
  /(?:^|\n) ?#{1,6} ?(?:system|new instructions?|instructions?|anweisung(?:en)?|systemnachricht)(?: (?:prompt|message))? ?:/u,
  /["']role["'] ?: ?["'](?:system|assistant|developer|tool)["']/u,
  /(?:^|\n) ?(?:system|assistant|developer|entwickler|tool|systemnachricht|system message)(?: \([^)\n]{1,30}\))?: ?(?:you|du|ignor|from|ab|new|neue|the user|der nutzer|die|please|bitte|call|rufe|override|all|alle|follow|important|wichtig|understood|verstanden|sure|okay|i |ich |your|dein)/u,
  /(?:-{3}|={3}|\*{3}|#{3}) ?(?:end|ende|begin|beginn|start) (?:of |der |des |von )?(?:the )?(?:data|daten|user|nutzer|system|input|eingabe|context|kontext|prompt|document|dokument|instructions?|anweisung)/u,
  /(?:hier|here|damit|thus)? ?(?:ende[nt]? die|end of the|ends the) (?:nutzerdaten|eingabedaten|datenblock|user data|data block|untrusted data)/u,
];

const CATALOG_NAMES = [...TOOL_CATALOG.keys()].filter((name) => name.includes('_'));
const TOOL_NAME = `(?:${CATALOG_NAMES.join('|')}|(?:delete|send|export|transfer|read|get|list|create|publish|log|update|add|run|fetch|http)_[a-z]{2,30}(?:_[a-z]{2,30}){0,3})`;
const TOOL_CALL: readonly RegExp[] = [
  /<\/?(?:tool_call|function_call|function_calls|invoke|tool_use|tool)(?:s|\b)[^>\n]{0,60}>/u,
  /["'](?:tool_calls?|function_call|tool_name|toolname|arguments|intent)["'] ?: ?[[{"']/u,
  new RegExp(`["']name["'] ?: ?["']${TOOL_NAME}["']`, 'u'),
  new RegExp(`(?<![a-z_])${TOOL_NAME}\\s?\\(`, 'u'),
  phrase(
    any(String.raw`call | invoke | use | run | execute | trigger | rufe? | nutze | verwende | benutze | führe? | starte
      aufrufen | ausführen | plane | schedule | with | mit | via | über | dann | then`),
    `(?:[^\\p{L}\\d_]+[\\p{L}\\d'-]+){0,5}?[^\\p{L}\\d_]+`,
    TOOL_NAME,
    '(?![a-z_])',
  ),
  new RegExp(
    `(?<![a-z_])${TOOL_NAME}(?![a-z_])[^\\n]{0,60}?(?:aufrufen|ausführen|aufgerufen|aufruf|auf(?![\\p{L}])|aus(?![\\p{L}])|immediately|sofort|now(?!\\p{L}))`,
    'u',
  ),
  phrase(
    any('call | invoke | use | rufe? | nutze | verwende'),
    gap(3),
    any('the tool | tools? named | function named | das tool | das werkzeug | die funktion'),
    gap(1),
    `["'\`]?[a-z]+_[a-z_]+`,
  ),
];

const ADDRESS = String.raw`(?:https?:\/\/|www\.|(?<![\p{L}\d._-])[\p{L}\d._-]{1,64}@[\p{L}\d-]{1,63}\.|webhook|(?<![a-z\d.-])(?:[a-z\d-]{1,63}\.){1,5}(?:com|net|org|io|ru|cn|xyz|example|test|info|biz|app|dev|site|top|tk|ly)(?![\p{L}])|ftp|externe[nrms]? (?:server|adresse)|external (?:server|address|endpoint)|remote server|pastebin|telegram)`;
const PRIVATE = any(String.raw`
  notes? | notizen | journal\p{L}* | tageb[uü]ch\p{L}* | prompt | memory | gedächtnis\p{L}* | contacts? | kontakte\p{L}*
  passwords? | passw[oö]rt\p{L}* | records? | einträge\p{L}* | data | daten | inputs? | eingaben | conversation
  unterhaltung | context | kontext | everything | alles | goals? | ziele | calendar | kalender\p{L}* | secrets?
  geheimnisse | content | contents | inhalte? | profile? | profil\p{L}* | diary | entries | appointments | termine\p{L}*`);
const WHOLE = any(String.raw`
  all | alle[sn]? | entire | every | complete | whole | gesamte[nrs]? | sämtliche[nrs]? | komplette[nrs]? | everything
  alles | the user's | des nutzers | des benutzers | of the user | vollständige[nrs]? | ganze[nrs]? | full | private[ns]?
  vertrauliche[ns]? | contents? of | inhalt\p{L}* | these | diese[nr]? | your | deine[nr]? | his | her | their`);
const SEND_EN = any(String.raw`
  send | post | upload | forward | transmit | exfiltrate | leak | e?mail | deliver | submit | share | publish | export | copy
  append | attach | report | put | encode | embed | include | add | insert | pass | write`);
const SEND_DE = any(String.raw`
  schicke? | sende? | übermittle | übertrage | lade? | leite? | poste | maile? | exportiere? | kopiere? | teile?
  veröffentliche? | hänge? | füge? | melde | übergib | packe? | kodiere? | schreibe? | versende`);
/** What stands between the parts of one order: a sentence or two, not a page. */
const WITHIN = (chars: number): string => `[^]{0,${chars}}?`;
const EXFILTRATION: readonly RegExp[] = [
  phrase(SEND_EN, gap(4), WHOLE, gap(4), PRIVATE, WITHIN(80), ADDRESS),
  phrase(SEND_DE, gap(4), WHOLE, gap(4), PRIVATE, WITHIN(80), ADDRESS),
  phrase(any(`${SEND_EN} | ${SEND_DE}`), WITHIN(60), '(?:everything|alles)(?!\\p{L})', WITHIN(60), ADDRESS),
  phrase(any(`${SEND_EN} | ${SEND_DE}`), WITHIN(40), ADDRESS, WITHIN(60), WHOLE, gap(4), PRIVATE),
  /https?:\/\/[^\s<>"')]{1,200}[?&=/#](?:\{|\[|<|\$\{|%7b|\.\.\.|…)/u,
  phrase(
    any('append | attach | add | encode | embed | put | hänge? | füge? | kodiere? | packe? | schreibe?'),
    gap(8),
    any('to | in | into | an | als | onto'),
    gap(3),
    any(String.raw`urls? | link | query string | query-?parameter\p{L}* | adresse | webadresse | parameter`),
    '(?!\\p{L})',
    '(?=[^]{0,120}(?:https?:|www\\.|\\p{L}\\.(?:com|net|org|example|test)))',
  ),
  phrase(
    WHOLE,
    gap(3),
    PRIVATE,
    WITHIN(50),
    any('an | nach | auf | to | at'),
    ' ',
    ADDRESS,
    WITHIN(60),
    any(
      'schicken | senden | hochladen | übermitteln | übertragen | weiterleiten | exportieren | sent | forwarded | uploaded | posted',
    ),
  ),
  /(?:curl|wget|fetch\()[^\n]{0,80}https?:\/\//u,
];

const USER =
  any(String.raw`the user | the owner | the human | users | der nutzer\p{L}* | dem nutzer | den nutzer | nutzer\p{L}*
  dem benutzer | den benutzer | dem anwender | den anwender | der besitzer\p{L}* | dem besitzer | den menschen | anyone | anybody
  operator | jemand\p{L}* | the summary | summary | zusammenfassung`);
const SECRECY: readonly RegExp[] = [
  phrase(
    any('erwähne | nenne | schreibe | verrate'),
    gap(3),
    any('nicht | nichts | niemals'),
    gap(2),
    any('zusammenfassung | antwort an'),
  ),
  phrase(
    any('schreibe? | erstelle? | lege? | plane? | füge? | sende? | schicke? | ergänze?'),
    ' ',
    any('unauffällig | unbemerkt | stillschweigend'),
  ),
  phrase(
    "(?:do not|don't|never|must not|without|avoid)",
    gap(2),
    any(String.raw`tell(?:ing)? | mention(?:ing)? | inform(?:ing)? | reveal(?:ing)? | show(?:ing)? | alert(?:ing)? | notify(?:ing)?
      asking | ask | warn(?:ing)? | let | disclos(?:e|ing) | report(?:ing)? | say(?:ing)?`),
    gap(5),
    USER,
  ),
  phrase(
    any(
      String.raw`sage? | erzähle? | verrate? | erwähne? | zeige? | melde? | teile? | informiere? | verschweige? | verheimliche?`,
    ),
    gap(3),
    USER,
    gap(6),
    any('nichts | nicht | niemals | kein[en]*'),
  ),
  phrase(
    any(
      String.raw`sage? | erzähle? | verrate? | erwähne? | verschweige? | verheimliche? | verberge? | hide | conceal | keep`,
    ),
    gap(4),
    any(
      String.raw`(?:davon |hiervon |dies\p{L}* |es |das |this |it |them )?(?:nicht |nichts )?(?:gegenüber|vor|from|in der zusammenfassung|in the summary|in deiner zusammenfassung|in your summary)`,
    ),
    gap(2),
    any(`${USER} | nicht | nichts | not`),
  ),
  phrase(
    any(
      'dem nutzer | dem benutzer | dem anwender | der nutzerin | den nutzer | den benutzer | der nutzer | der benutzer',
    ),
    gap(5),
    any(
      String.raw`nichts | verschweig\p{L}* | verheimlich\p{L}* | nicht (?:mitteilen|sagen|zeigen|erwähnen|informieren|verraten|erfahren|merken|sehen|fragen) | nie erfahren | nicht auffallen`,
    ),
  ),
  phrase(
    'ohne',
    gap(3),
    any('den nutzer | dem nutzer | den benutzer | dem benutzer | den anwender | die nutzerin | jemanden'),
    gap(3),
    any(
      String.raw`zu (?:informieren|fragen|sagen|benachrichtigen|zeigen) | (?:davon )?(?:etwas )?(?:mit|an)?zu\p{L}+`,
    ),
  ),
  phrase(
    any('the user | der nutzer | der benutzer | die nutzerin | nobody | no one | niemand'),
    gap(1),
    any('must not | must never | should not | may not | darf | soll | should'),
    gap(3),
    any(
      String.raw`know | notice | see | find out | learn | erfahren | merken | sehen | mitbekommen | bemerken | wissen`,
    ),
  ),
  phrase(
    any('silently | covertly | stealthily | unbemerkt | unauffällig | stillschweigend'),
    gap(2),
    any(
      String.raw`create | add | call | send | include | publish | run | execute | delete | complete | erstelle? | lege? | rufe? | sende? | schicke? | veröffentliche? | führe? | lösche? | plane? | füge? | ergänze | markiere`,
    ),
  ),
  phrase('(?:tell|inform) (?:nobody|no one)', gap(1), 'about', gap(1), any('these | this')),
  phrase(
    'keep (?:this|these)',
    gap(1),
    any('instructions? | step | steps | message | note | task | order'),
    gap(2),
    any('secret | hidden | confidential | private | between us'),
  ),
  phrase(
    any(String.raw`erwähne? | mention`),
    gap(4),
    any(
      String.raw`(?:diese[nsr]? )?(?:anweisung\p{L}* | notiz | hinweis | these instructions | this note | this instruction)`.replaceAll(
        ' | ',
        '|',
      ),
    ),
    gap(4),
    any('nicht | nirgends | niemandem | to no one | anywhere'),
  ),
  phrase(
    "(?:do not|don't|never) (?:mention|reveal|disclose|quote)",
    gap(1),
    any('these | this'),
    gap(1),
    any('instructions? | note | message | text | order'),
  ),
];

const KEYS = any(String.raw`
  api[ -]?keys? | api-?schlüssel | passwords? | passw[oö]rt\p{L}* | access tokens? | tokens? | secret keys? | private keys?
  master[ -]?keys? | hauptschlüssel | encryption keys? | zugangsdaten | credentials | recovery (?:code|phrase|key)s?
  seed phrase | wiederherstellungs(?:schlüssel|code)\p{L}* | pins? | tans? | kreditkarten\p{L}* | credit card\p{L}*
  service key | anmeldedaten | login data | umgebungsvariablen | environment variables | schlüssel des (?:nutzers|tresors)`);
const WHOSE = any(String.raw`
  your | deine[nrs]? | the user's | des nutzers | des benutzers | all | alle | any | sämtliche | stored | gespeicherte[nr]?
  the system's | the server's | des servers | the | his | her | users? | vorhandene[nr]?`);
const CREDENTIALS: readonly RegExp[] = [
  phrase(
    any(
      'reveal | print | output | list | expose | dump | tell me | give me | extract | collect | find and | send | include | write down | disclose | submit | forward',
    ),
    gap(2),
    WHOSE,
    gap(3),
    KEYS,
    '(?!\\p{L})',
  ),
  phrase(
    any(
      'nenne? | verrate? | liste | schreibe? | sende? | schicke? | sammle | extrahiere? | übermittle | kopiere? | offenbare? | gib mir | exportiere? | zeige mir',
    ),
    gap(3),
    WHOSE,
    gap(3),
    KEYS,
  ),
  phrase(
    any(
      'ask the user for | have the user enter | make the user enter | get the user to | bitte den nutzer um | frage den nutzer nach | fordere den nutzer auf | lass den nutzer | der nutzer soll',
    ),
    gap(5),
    KEYS,
  ),
  phrase(
    any('enter | gib | confirm | bestätige'),
    gap(2),
    any('your | dein | deine | deinen | ihr | ihre'),
    gap(2),
    KEYS,
    WITHIN(50),
    ADDRESS,
  ),
];

const ADDRESSES_MODEL: readonly RegExp[] = [
  phrase(
    any(
      String.raw`attention | note | message | notice | instructions? | reminder | hinweis | achtung | nachricht | anweisung\p{L}* | mitteilung | wichtig | important | memo | info`,
    ),
    gap(1),
    any('to | for | an | für'),
    gap(2),
    MODEL,
    '(?![\\p{L}])',
  ),
  phrase(
    any(String.raw`attention | achtung | dear | hey | hello | hallo | liebe[rs]? | hi`),
    ',? ',
    any('die | the'),
    '? ?',
    MODEL,
    '(?![\\p{L}])',
    ' ?[,:!]',
  ),
  phrase(
    any(String.raw`attention | achtung | dear | hey | hello | hallo | liebe[rs]? | hi`),
    ',? ',
    MODEL,
    '(?![\\p{L}])',
    ' ?[,:!]',
  ),
  phrase('if you are', gap(2), MODEL, '(?![\\p{L}])'),
  phrase("if you(?:'re| are) (?:an? )?(?:assistant|agent|bot|planner|model)(?! of| at| for)"),
  phrase(
    '(?:wenn|falls) du',
    gap(3),
    any(`${MODEL} | sprachmodell | assistenzsystem`),
    gap(1),
    any('bist | liest | verarbeitest'),
  ),
  phrase('as an (?:ai|llm|artificial)', gap(3), any('you | must | should')),
  phrase(
    MODEL,
    gap(3),
    any(
      String.raw`reading (?:this|these) | processing (?:this|these) | that reads? (?:this|these) | must (?:now|first|obey|follow|always) | die (?:dies|das)\p{L}* (?:liest|verarbeitet) | muss (?:jetzt|nun|sofort|zuerst|folgen)`,
    ),
  ),
  phrase(
    any(
      'an den planer der mana | an den planer von mana | to the planner | mana planner | mana-planer | planner of mana | to the assistant reading | wer auch immer diese daten verarbeitet | whoever processes this',
    ),
  ),
];

const FAKE_AUTHORITY: readonly RegExp[] = [
  /(?<!\p{L})(?:system|admin|administrator|security|priority|root|developer|policy|emergency)[ -](?:override|notice|directive|command|alert|update)(?!\p{L}) ?[:!\]—-]/u,
  /(?<!\p{L})(?:systemmeldung|systembefehl|admin-?anweisung|administratoranweisung|notfall-?anweisung|sicherheitsanweisung|systemanweisung|systemhinweis)(?: [^\n:]{0,30})?[:!]/u,
  phrase(
    any(
      'authori[sz]ed by | approved by | autorisiert durch | autorisiert von | genehmigt durch | freigegeben durch | im auftrag von | on behalf of | im namen von',
    ),
    gap(2),
    any(
      String.raw`admin\p{L}* | developers? | entwickler\p{L}* | system | mana | anthropic | openai | support | sicherheits\p{L}* | security | the user | nutzer\p{L}*`,
    ),
  ),
  phrase(
    any('the user | der nutzer | die nutzerin | der benutzer | dein nutzer | user'),
    gap(3),
    any(
      'approved | authori[sz]ed | consented | pre-approved | agreed | zugestimmt | genehmigt | autorisiert | freigegeben | bestätigt | erlaubt',
    ),
    '(?!\\p{L})',
  ),
  phrase(
    any('without | skip | bypass | ohne | überspringe | umgehe'),
    gap(2),
    any("user | user's | nutzer\\p{L}* | human | manual | the | die | jede | weitere"),
    gap(2),
    any(
      String.raw`confirmation | approval | review | consent | bestätigung | freigabe | prüfung | zustimmung | genehmigung | rückfrage`,
    ),
  ),
  phrase(
    any('mark | set | setze? | markiere?'),
    gap(4),
    any('steps? | schritte? | status | plan | proposals? | vorschläge'),
    gap(3),
    any(String.raw`approved | genehmigt | bestätigt | freigegeben | erledigt`),
    WITHIN(60),
    any('automatically | automatisch | without | ohne | immediately | sofort | selbst'),
  ),
  phrase(
    any('these | diese | this | the following | folgende[rn]? | dieser text | diese notiz'),
    gap(3),
    any(String.raw`instructions? | anweisung\p{L}* | notiz | note | text`),
    gap(3),
    any(
      'take precedence | takes precedence | has priority | have priority | hat vorrang | haben vorrang | overrides? | gilt vor | gehen vor',
    ),
  ),
];

const ABOUT_ORDERS =
  /instruct|rule|guideline|directive|order|constraint|prompt|programming|restriction|safeguard|polic|anweisung|instruktion|regel|vorgabe|befehl|auftr|richtlinie|nachricht|einschränk|vorschrift|anordnung|task|goal|mission|objective|job|purpose|aufgabe|ziel/u;
const ABOUT_PROMPTS =
  /prompt|message|nachricht|anweisung|instruktion|instruction|rules|regeln|vorgaben|guideline|above|oberhalb|dieser|was über|konfiguration|systemtext/u;
const ABOUT_KEYS =
  /key|schlüssel|passw|token|daten|credential|code|phrase|pin|tan|kredit|credit|login|variable/u;

/** What each mark looks for; `encoded-payload` and `hidden-text` are found in `injection-marks.ts`. */
export const MARK_PATTERNS: readonly {
  readonly mark: InjectionMark;
  /** A cheap part that all patterns of the mark share; most texts lack it. */
  readonly needs?: RegExp;
  readonly patterns: readonly RegExp[];
}[] = [
  { mark: 'ignore-instructions', needs: ABOUT_ORDERS, patterns: IGNORE },
  { mark: 'role-change', patterns: ROLE_CHANGE },
  { mark: 'system-prompt', needs: ABOUT_PROMPTS, patterns: SYSTEM_PROMPT },
  { mark: 'fake-delimiter', needs: /[<>\]#:='"-]/u, patterns: FAKE_DELIMITER },
  { mark: 'tool-call', needs: /[a-z]_[a-z]|["'<]/u, patterns: TOOL_CALL },
  { mark: 'exfiltration', needs: new RegExp(ADDRESS, 'u'), patterns: EXFILTRATION },
  { mark: 'secrecy', patterns: SECRECY },
  { mark: 'credentials', needs: ABOUT_KEYS, patterns: CREDENTIALS },
  {
    mark: 'addresses-model',
    needs: new RegExp(
      `(?<!\\p{L})(?:${MODEL}|planner|assistant|assistenz|agent|bot|model|verarbeitet|processes|planer der|planer von)`,
      'u',
    ),
    patterns: ADDRESSES_MODEL,
  },
  { mark: 'fake-authority', patterns: FAKE_AUTHORITY },
];
