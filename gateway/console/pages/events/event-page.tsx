import { Empty } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';

export default function EventPage() {
  return (
    <Page title="Event">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
