import { Empty } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';

export default function DeadLettersPage() {
  return (
    <Page title="Dead letters">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
