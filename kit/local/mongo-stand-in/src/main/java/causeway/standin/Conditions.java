package causeway.standin;

import de.bwaldvogel.mongo.bson.BsonRegularExpression;
import de.bwaldvogel.mongo.bson.Document;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * The part of a query that an index can answer: for each path the values it may equal, or the bounds it lies between.
 * What is not understood is left out, so the conditions never exclude a document that the query matches.
 */
final class Conditions {

    /** A bound of a range. */
    record Bound(Object value, boolean inclusive) {
    }

    /** What one path has to fulfil. */
    static final class Condition {
        private List<Object> values;
        private Bound lower;
        private Bound upper;

        /** The values that the path may equal, without repeats; null when it isn't compared for equality. */
        List<Object> values() {
            return values;
        }

        Bound lower() {
            return lower;
        }

        Bound upper() {
            return upper;
        }

        boolean isRange() {
            return lower != null || upper != null;
        }
    }

    private final Map<String, Condition> byPath = new HashMap<>();

    private Conditions() {
    }

    static Conditions of(Document query) {
        Conditions conditions = new Conditions();
        conditions.read(query);
        return conditions;
    }

    /** The condition on this path, or null when there is none. */
    Condition on(String path) {
        return byPath.get(path);
    }

    boolean isEmpty() {
        return byPath.isEmpty();
    }

    private void read(Document query) {
        for (Map.Entry<String, Object> entry : query.entrySet()) {
            if (entry.getKey().equals("$and") && entry.getValue() instanceof Collection<?> parts) {
                parts.forEach(part -> {
                    if (part instanceof Document document) {
                        read(document);
                    }
                });
            } else if (!entry.getKey().startsWith("$")) {
                readPath(entry.getKey(), entry.getValue());
            }
        }
    }

    private void readPath(String path, Object value) {
        if (value instanceof BsonRegularExpression) {
            return;
        }
        if (!(value instanceof Document operators)) {
            equalTo(path, Collections.singletonList(IndexedValue.of(value)));
            return;
        }
        for (Map.Entry<String, Object> operator : operators.entrySet()) {
            readOperator(path, operator.getKey(), operator.getValue());
        }
    }

    private void readOperator(String path, String operator, Object operand) {
        switch (operator) {
            case "$eq" -> equalTo(path, Collections.singletonList(IndexedValue.of(operand)));
            case "$in" -> {
                if (operand instanceof Collection<?> operands) {
                    equalTo(path, operands.stream().map(IndexedValue::of).toList());
                }
            }
            case "$gt" -> bound(path, operand, false, true);
            case "$gte" -> bound(path, operand, true, true);
            case "$lt" -> bound(path, operand, false, false);
            case "$lte" -> bound(path, operand, true, false);
            default -> {
                // Any other operator only narrows the result further, which is the matcher's part.
            }
        }
    }

    private void equalTo(String path, List<Object> values) {
        if (values.contains(IndexedValue.UNSUPPORTED)) {
            return;
        }
        Condition condition = byPath.computeIfAbsent(path, key -> new Condition());
        if (condition.values == null) {
            TreeSet<Object> distinct = new TreeSet<>(IndexedValue::compare);
            distinct.addAll(values);
            condition.values = distinct.stream().toList();
        }
    }

    private void bound(String path, Object operand, boolean inclusive, boolean isLower) {
        Object value = IndexedValue.of(operand);
        if (value == null || value == IndexedValue.UNSUPPORTED) {
            return;
        }
        Condition condition = byPath.computeIfAbsent(path, key -> new Condition());
        Bound bound = new Bound(value, inclusive);
        if (isLower && condition.lower == null) {
            condition.lower = bound;
        } else if (!isLower && condition.upper == null) {
            condition.upper = bound;
        }
    }
}
