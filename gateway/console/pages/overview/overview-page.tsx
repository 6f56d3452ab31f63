import { Empty } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';

export default function OverviewPage() {
  return (
    <Page title="Overview">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
