import { Empty } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';

export default function FulfilmentsPage() {
  return (
    <Page title="Fulfilments">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
