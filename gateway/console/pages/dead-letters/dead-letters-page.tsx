import { useSearchParams } from 'wouter';
import { Page } from '../../parts/page.tsx';
import { shortType } from '../../parts/payload.tsx';
import { Tabs } from '../../parts/tabs.tsx';
import { words } from '../../parts/words.ts';
import { Acts } from './acts.tsx';
import { Groups } from './groups.tsx';
import { LetterView } from './letter.tsx';
import { ParkedKeys } from './parked-keys.tsx';
import './dead-letters.css';

/** What consumers have given up on: by group, key by key, one letter; and what operators did about it. */
export default function DeadLettersPage() {
  const [address] = useSearchParams();
  const letter = address.get('letter') ?? '';
  const consumer = address.get('consumer') ?? '';
  if (letter !== '') {
    return (
      <Page title={`Dead letter ${letter}`}>
        <LetterView key={letter} sequence={letter} />
      </Page>
    );
  }
  if (consumer !== '') {
    const filter = { consumer, reason: address.get('reason') ?? '', eventType: address.get('type') ?? '' };
    return (
      <Page
        title="Parked keys"
        about={[consumer, words(filter.reason), words(shortType(filter.eventType))].filter(Boolean).join(' · ')}
      >
        <ParkedKeys filter={filter} />
      </Page>
    );
  }
  const isActs = address.get('show') === 'acts';
  return (
    <Page
      title="Dead letters"
      about="What consumers have given up on: it waits here, and its key's later messages behind it."
    >
      <Tabs
        label="Dead letters"
        tabs={[
          { name: 'Parked', href: '/dead-letters', isHere: !isActs },
          { name: 'What operators did', href: '/dead-letters?show=acts', isHere: isActs },
        ]}
      />
      {isActs ? <Acts /> : <Groups />}
    </Page>
  );
}
