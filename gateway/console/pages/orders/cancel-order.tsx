import { OrderService } from '#gen/causeway/orders/v1/orders_service_pb.js';
import { ActDialog } from '../../parts/act-dialog.tsx';

/** Asks why, and cancels. The order may have gone further meanwhile: then it says so. */
export function CancelOrder({ orderId, onClose }: { orderId: string; onClose: () => void }) {
  return (
    <ActDialog
      title="Cancel the order"
      act="Cancel the order"
      method={OrderService.method.cancelOrder}
      reasonField="reason"
      isDangerous
      requestWith={(reason, requestId) => ({ orderId, reason, requestId })}
      onClose={onClose}
    >
      <p>What was reserved and authorised is undone. It can not be taken back.</p>
    </ActDialog>
  );
}
