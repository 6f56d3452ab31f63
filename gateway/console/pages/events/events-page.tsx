import { Empty } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';

export default function EventsPage() {
  return (
    <Page title="Events">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
