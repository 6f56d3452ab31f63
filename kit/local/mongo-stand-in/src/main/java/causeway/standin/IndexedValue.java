package causeway.standin;

import de.bwaldvogel.mongo.backend.Missing;
import de.bwaldvogel.mongo.bson.ObjectId;
import java.math.BigDecimal;
import java.time.Instant;
import java.util.UUID;

/**
 * What may stand in an index: null, numbers, strings, UUIDs, object ids, booleans and dates. Their order is that of
 * MongoDB's comparison order, and two values are equal exactly when the query matcher calls them equal, because an
 * index may offer too many documents (the matcher looks at each again) but never too few.
 */
final class IndexedValue {

    /** Stands for a value of any other type. A document with one is offered to every query of that index. */
    static final Object UNSUPPORTED = new Object();

    private IndexedValue() {
    }

    /** The comparable form of a document's or a query's value, or {@link #UNSUPPORTED}. Null and missing are one. */
    static Object of(Object value) {
        if (Missing.isNullOrMissing(value)) {
            return null;
        }
        if (value instanceof Number number) {
            return ofNumber(number);
        }
        return typeOrder(value) < 0 ? UNSUPPORTED : value;
    }

    private static Object ofNumber(Number number) {
        double asDouble = number.doubleValue();
        if (number instanceof Long exact && exact != (long) asDouble) {
            return exact;
        }
        return asDouble == 0.0 ? 0.0 : asDouble;
    }

    static int compare(Object left, Object right) {
        int byType = Integer.compare(typeOrder(left), typeOrder(right));
        if (byType != 0 || left == null) {
            return byType;
        }
        if (left instanceof Double a && right instanceof Double b) {
            return Double.compare(a, b);
        }
        if (left instanceof String a) {
            return a.compareTo((String) right);
        }
        if (left instanceof Number a) {
            return compareMixedNumbers(a, (Number) right);
        }
        if (left instanceof Instant a) {
            return a.compareTo((Instant) right);
        }
        if (left instanceof UUID a) {
            return compareUnsigned(a, (UUID) right);
        }
        if (left instanceof ObjectId a) {
            return a.compareTo((ObjectId) right);
        }
        return Boolean.compare((Boolean) left, (Boolean) right);
    }

    private static int typeOrder(Object value) {
        if (value == null) {
            return 0;
        } else if (value instanceof Number) {
            return 1;
        } else if (value instanceof String) {
            return 2;
        } else if (value instanceof UUID) {
            return 3;
        } else if (value instanceof ObjectId) {
            return 4;
        } else if (value instanceof Boolean) {
            return 5;
        } else if (value instanceof Instant) {
            return 6;
        }
        return -1;
    }

    /** A long beyond 2^53 that no double can hold, against a double or another such long. */
    private static int compareMixedNumbers(Number left, Number right) {
        if (left instanceof Long a && right instanceof Long b) {
            return Long.compare(a, b);
        }
        if (!Double.isFinite(left.doubleValue()) || !Double.isFinite(right.doubleValue())) {
            return Double.compare(left.doubleValue(), right.doubleValue());
        }
        return exact(left).compareTo(exact(right));
    }

    private static BigDecimal exact(Number number) {
        return number instanceof Long whole ? BigDecimal.valueOf(whole) : new BigDecimal(number.doubleValue());
    }

    private static int compareUnsigned(UUID left, UUID right) {
        int high = Long.compareUnsigned(left.getMostSignificantBits(), right.getMostSignificantBits());
        return high != 0 ? high : Long.compareUnsigned(left.getLeastSignificantBits(), right.getLeastSignificantBits());
    }
}
