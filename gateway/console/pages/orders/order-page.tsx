import { Empty } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';

export default function OrderPage() {
  return (
    <Page title="Order">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
