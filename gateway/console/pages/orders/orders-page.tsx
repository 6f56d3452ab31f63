import { Empty } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';

export default function OrdersPage() {
  return (
    <Page title="Orders">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
