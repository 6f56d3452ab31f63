import { Empty } from '../../parts/answer.tsx';
import { Page } from '../../parts/page.tsx';

export default function ProjectionsPage() {
  return (
    <Page title="Projections">
      <Empty>Nothing yet.</Empty>
    </Page>
  );
}
