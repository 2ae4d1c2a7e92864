import type { InjectionMark } from './injection-codes.ts';

/**
 * Wordings of orders to a model, German and English: each asks for two or three parts that ordinary notes do not have
 * together ("ignore", "all", "instructions"). In a list, `|` stands between alternatives, a blank between words that follow
 * each other, `*` for the rest of a word; `<3>` lets up to three other words stand between two lists. `@address` is an
 * address, `@tool` a name like those of our tools. `injection-wordings.test.ts` has a text for each entry that it finds, and
 * an ordinary one that it leaves alone; what no attack of the corpus needed is not here.
 */
export interface Wording {
  readonly id: string;
  readonly mark: InjectionMark;
  readonly words: string;
}

const MODEL = `ai | ais | ki | llm | llms | gpt | chatgpt | claude | gemini | copilot | language model | language models
  | sprachmodell* | ki assistent* | ki agent* | ki modell* | ki system* | ai assistant* | ai agent* | ai model* | ai system*
  | ai planner* | ki planer*`;
const ORDERS_EN = `instruction | instructions | rules | guideline | guidelines | directive | directives | orders | constraints
  | prompt | prompts | programming | restrictions | safeguards | policies | policy`;
const ORDERS_DE = `anweisung* | instruktion* | regel | regeln | vorgabe | vorgaben | befehl* | auftrag* | aufträge* | richtlinie*
  | systemprompt* | prompt | prompts | systemnachricht* | einschränkung* | vorschrift*`;
const EARLIER_EN = `previous | prior | above | earlier | all | any | your | preceding | existing | original | former | other
  | current | initial | the system | the mission's | old | every | everything`;
const EARLIER_DE = `vorherig* | bisherig* | früher* | obig* | oben* | alle | allen | alles | sämtlich* | deine | deiner | deinen
  | deines | deinem | vorangegangen* | vorangehend* | ursprünglich* | vorig* | eigentlich* | ander* | zuvor | vorhin
  | jegliche* | bestehend* | letzte* | alten | alter | alte | bis jetzt | aktuell* | eure*`;
const ROLE = `assisten* | agent* | ki | ai | modell | model | bot | chatbot | system | admin* | entwickler* | developer | modus
  | mode | hacker | root | operator | unrestricted | uneingeschränkt* | unzensiert* | uncensored | dan | jailbr* | frei von
  | free of | free from | ohne regeln | ohne einschränkungen | ohne filter | no longer | nicht mehr | evil | pirate | pirat*
  | superuser`;
const PROMPT = `system prompt* | systemprompt* | system message | systemnachricht | system anweisung* | systemanweisung*
  | hidden prompt | hidden rules | initial prompt | initial instructions | developer message | your instructions | your rules
  | your guidelines | your prompt | your own instructions | your internal rules | deine anweisungen | deine regeln
  | deine instruktionen | deine vorgaben | deine eigenen anweisungen | deine internen anweisungen | deine geheimen anweisungen
  | deinen prompt | deinen gesamten prompt | interne anweisungen | internen anweisungen | text above | everything above`;
const ADDRESS = `@address | webhook | ftp | externe server | externen server | externer server | externe adresse
  | externen adresse | external server | external address | external endpoint | remote server | pastebin | telegram`;
const PRIVATE = `note | notes | notizen | journal* | tagebuch* | tagebüch* | prompt | memory | gedächtnis* | contact | contacts
  | kontakte* | password | passwords | passwort* | passwört* | record | records | einträge* | data | daten | input | inputs
  | eingaben | conversation | unterhaltung | context | kontext | everything | alles | goal | goals | ziele | calendar
  | kalender* | secret | secrets | geheimnisse | content | contents | inhalt | inhalte | profile | profil* | diary | entries
  | appointments | termine*`;
const WHOLE = `all | alle | aller | alles | entire | every | complete | whole | gesamte* | sämtliche* | komplette* | everything
  | the user's | des nutzers | des benutzers | of the user | vollständige* | ganze | ganzen | full | private | privaten
  | vertrauliche* | content of | contents of | inhalt* | these | diese | diesen | dieser | your | deine | deinen | deiner | his
  | her | their`;
const SEND = `send | post | upload | forward | transmit | exfiltrate | leak | email | mail | deliver | submit | share | publish
  | export | copy | append | attach | report | put | encode | embed | include | add | insert | pass | write | schick | schicke
  | sende | übermittle | übertrage | lade | leite | poste | maile | exportiere | kopiere | teile | veröffentliche | hänge | füge
  | melde | übergib | packe | kodiere | schreibe | versende`;
const USER = `the user | the owner | the human | users | der nutzer* | dem nutzer | den nutzer | nutzer* | dem benutzer
  | den benutzer | dem anwender | den anwender | der besitzer* | dem besitzer | den menschen | anyone | anybody | operator
  | jemand* | the summary | summary | zusammenfassung`;
const KEYS = `api key | api keys | api schlüssel | password | passwords | passwort* | passwört* | access token | access tokens
  | token | tokens | secret key | secret keys | private key | private keys | master key | hauptschlüssel | encryption key
  | encryption keys | zugangsdaten | credentials | recovery code | recovery codes | recovery phrase | recovery key | seed phrase
  | wiederherstellungsschlüssel* | wiederherstellungscode* | pin | pins | tan | tans | kreditkarten* | credit card | credit cards
  | service key | anmeldedaten | login data | umgebungsvariablen | environment variables`;
const WHOSE = `your | deine | deinen | deiner | the user's | des nutzers | des benutzers | all | alle | any | sämtliche | stored
  | gespeicherte | gespeicherten | the system's | the server's | des servers | the | his | her | user | users | vorhandene*`;

export const WORDINGS: readonly Wording[] = [
  {
    id: 'ignore-earlier-en',
    mark: 'ignore-instructions',
    words: `ignore | ignoring | disregard | disregarding | forget | override | overrule | bypass | neglect | dismiss | do
      not follow | do not obey | don't follow | don't obey | stop following | abandon | discard | drop <3>
      ${EARLIER_EN} <4> ${ORDERS_EN}`,
  },
  {
    id: 'ignore-earlier-de',
    mark: 'ignore-instructions',
    words: `ignorier* | vergiss | vergesst | vergessen sie | missachte* | überschreib* | verwirf | übergeh* | umgeh* |
      streiche | lösche <3> ${EARLIER_DE} <4> ${ORDERS_DE}`,
  },
  {
    id: 'break-the-users-rules',
    mark: 'ignore-instructions',
    words: `ignore | ignoring | disregard | break | violate | ignoriere | missachte | brich | umgehe | verletze <6> the
      user's | user's | regeln | vorgaben | wünsche | anweisungen <1> rules | wishes | instructions | guidelines | des
      nutzers | des benutzers | der nutzerin`,
  },
  {
    id: 'do-not-follow-de',
    mark: 'ignore-instructions',
    words: `beachte | befolge | folge | berücksichtige | halte dich <3> ${EARLIER_DE} <3> ${ORDERS_DE} <2> nicht`,
  },
  {
    id: 'no-longer-valid-en',
    mark: 'ignore-instructions',
    words: `${EARLIER_EN} <3> instructions | rules | guidelines | directives | prompt | prompts <4> void | cancelled |
      canceled | superseded | no longer apply | do not apply | don't apply | obsolete | revoked | suspended`,
  },
  {
    id: 'no-longer-valid-de',
    mark: 'ignore-instructions',
    words: `bisherig* | vorherig* | deine | obig* | früheren | alle anderen | ursprünglich* <2> anweisungen | instruktionen
      | vorgaben | befehle | anordnungen <4> außer kraft | aufgehoben | ungültig | nicht mehr | hinfällig |
      gegenstandslos | überholt`,
  },
  {
    id: 'your-new-task-en',
    mark: 'ignore-instructions',
    words: `your new | the new | you have a new | your real | the real | your actual | your true | your updated | your only
      <1> task | goal | mission | instruction | instructions | objective | job | purpose <1> is | are | now | from now`,
  },
  {
    id: 'your-new-task-de',
    mark: 'ignore-instructions',
    words: `deine neue | deine neuen | dein neuer | dein neues | deine wahre | dein wahrer | deine eigentliche | deine
      wirkliche | dein wirklicher | deine tatsächliche | deine einzige | die neue | die neuen <1> aufgabe | mission |
      anweisung* | auftrag | ziel <1> ist | lautet | lauten | sind | besteht`,
  },
  {
    id: 'you-are-now-en',
    mark: 'role-change',
    words: `you are now | you are no longer | you are actually | you are really | you are from now on | from now on you are
      | you will now be | you're now <5> ${ROLE}`,
  },
  {
    id: 'you-are-now-de',
    mark: 'role-change',
    words: `du bist jetzt | du bist nun | du bist ab jetzt | du bist ab sofort | du bist ab nun | du bist in wahrheit | du
      bist nicht mehr | du bist nicht länger | du bist eigentlich <5> ${ROLE} | der planer | der assistent`,
  },
  {
    id: 'from-now-on-de',
    mark: 'role-change',
    words: `ab jetzt | ab sofort | ab nun | ab hier <0> bist du | handelst du | agierst du | antwortest du | gehorchst du |
      folgst du | arbeitest du`,
  },
  {
    id: 'from-now-on-en',
    mark: 'role-change',
    words: `from now on you | from here on you <0> act | obey | respond | answer | behave | follow | must | will | only |
      work`,
  },
  {
    id: 'act-as',
    mark: 'role-change',
    words: `act as | act like | behave as | behave like | respond as | respond like | operate as | operate like | verhalte
      dich wie | verhalte dich als | handle wie | handle als | agiere wie | agiere als | antworte wie | antworte als |
      pretend you are | pretend to be | pretend that you | tu so als | stell dir vor du <4> ${ROLE}`,
  },
  {
    id: 'mode-switch',
    mark: 'role-change',
    words: `enter | enable | activate | switch to | entering | aktiviere | wechsle in | starte <3> developer mode | debug
      mode | god mode | admin mode | maintenance mode | dan mode | unrestricted mode | sudo mode | entwicklermodus |
      debug modus | admin modus | administratormodus | wartungsmodus`,
  },
  {
    id: 'show-the-prompt-en',
    mark: 'system-prompt',
    words: `reveal | print | repeat | output | show | leak | copy | include | quote | paste | expose | disclose | write |
      dump | return | recite | summarise | summarize | translate | put | send | store | save <5> ${PROMPT}`,
  },
  {
    id: 'show-the-prompt-de',
    mark: 'system-prompt',
    words: `gib | zeig | zeige | wiederhole | verrate | nenne | schreibe | zitiere | füge | kopiere | drucke | offenbare |
      liste | übersetze | fasse | poste | sende | schicke | speichere | enthülle <6> ${PROMPT}`,
  },
  {
    id: 'call-a-tool',
    mark: 'tool-call',
    words: `call | invoke | use | run | execute | trigger | rufe | ruf | nutze | verwende | benutze | führe | starte |
      aufrufen | ausführen | plane | schedule <5> @tool`,
  },
  {
    id: 'tool-is-called',
    mark: 'tool-call',
    words: `@tool <8> aufrufen | ausführen | aufgerufen | aufruf | auf | aus | immediately | sofort | now`,
  },
  {
    id: 'send-records',
    mark: 'exfiltration',
    words: `${SEND} <4> ${WHOLE} <4> ${PRIVATE} <12> ${ADDRESS}`,
  },
  {
    id: 'do-not-tell-en',
    mark: 'secrecy',
    words: `do not | don't | never | must not | without | avoid <2> tell | telling | mention | mentioning | inform |
      informing | reveal | revealing | show | showing | alert | alerting | notify | notifying | ask | asking | warn |
      warning | let | disclose | disclosing | report | reporting | say | saying <5> ${USER}`,
  },
  {
    id: 'do-not-tell-de',
    mark: 'secrecy',
    words: `sag | sage | erzähl | erzähle | verrate | erwähne | zeige | melde | teile | informiere | verschweige |
      verheimliche <3> ${USER} <6> nichts | nicht | niemals | kein | keine | keinen`,
  },
  {
    id: 'do-not-mention-de',
    mark: 'secrecy',
    words: `erwähne | nenne | schreibe | verrate <3> nicht | nichts | niemals <2> zusammenfassung | antwort an`,
  },
  {
    id: 'without-asking-de',
    mark: 'secrecy',
    words: `ohne <3> den nutzer | dem nutzer | den benutzer | dem benutzer | den anwender | die nutzerin | jemanden <3> zu
      informieren | zu fragen | zu sagen | zu benachrichtigen | zu zeigen | mitzuteilen | anzuzeigen`,
  },
  {
    id: 'reveal-keys-en',
    mark: 'credentials',
    words: `reveal | print | output | list | expose | dump | tell me | give me | extract | collect | find and | send |
      include | write down | disclose | submit | forward <2> ${WHOSE} <3> ${KEYS}`,
  },
  {
    id: 'reveal-keys-de',
    mark: 'credentials',
    words: `nenne | verrate | liste | schreibe | sende | schicke | sammle | extrahiere | übermittle | kopiere | offenbare |
      gib mir | exportiere | zeige mir <3> ${WHOSE} <3> ${KEYS}`,
  },
  {
    id: 'ask-for-keys',
    mark: 'credentials',
    words: `ask the user for | have the user enter | make the user enter | get the user to | bitte den nutzer um | frage den
      nutzer nach | fordere den nutzer auf | lass den nutzer | der nutzer soll <5> ${KEYS}`,
  },
  {
    id: 'note-to-the-model',
    mark: 'addresses-model',
    words: `attention | note | message | notice | instruction | instructions | reminder | hinweis | achtung | nachricht |
      anweisung* | mitteilung | wichtig | important | memo | info <1> to | for | an | für <2> ${MODEL}`,
  },
  {
    id: 'if-you-are-a-model-en',
    mark: 'addresses-model',
    words: `if you are <2> ${MODEL}`,
  },
  {
    id: 'if-you-are-a-model-de',
    mark: 'addresses-model',
    words: `wenn du | falls du <3> ${MODEL} | assistenzsystem <1> bist | liest | verarbeitest`,
  },
  {
    id: 'models-reading-this',
    mark: 'addresses-model',
    words: `${MODEL} <3> reading this | reading these | processing this | processing these | that reads this | that read
      this | must now | must first | must obey | must follow | must always | die dies | die das | muss jetzt | muss
      nun | muss sofort | muss zuerst | müssen`,
  },
  {
    id: 'to-the-planner',
    mark: 'addresses-model',
    words: `an den planer der mana | an den planer von mana | to the planner | mana planner | mana planer | planner of mana
      | planer von mana | to the assistant reading | wer auch immer diese daten verarbeitet | whoever processes this`,
  },
  {
    id: 'on-behalf-of',
    mark: 'fake-authority',
    words: `authorised by | authorized by | approved by | autorisiert durch | autorisiert von | genehmigt durch |
      freigegeben durch | im auftrag | on behalf of | im namen von <2> admin* | developer | developers | entwickler* |
      system | mana | anthropic | openai | support | sicherheits* | security | the user`,
  },
  {
    id: 'the-user-agreed',
    mark: 'fake-authority',
    words: `the user | der nutzer | die nutzerin | der benutzer | dein nutzer | user <3> approved | authorised | authorized
      | consented | agreed | zugestimmt | genehmigt | autorisiert | freigegeben | bestätigt | erlaubt`,
  },
  {
    id: 'takes-precedence',
    mark: 'fake-authority',
    words: `these | diese | this | the following | folgende | folgenden | dieser text <3> instruction | instructions |
      anweisung* | notiz | note | text <3> take precedence | takes precedence | has priority | have priority | hat
      vorrang | haben vorrang | overrides | override | gilt vor | gehen vor`,
  },
];
