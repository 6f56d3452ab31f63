package causeway.standin;

import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.Missing;
import de.bwaldvogel.mongo.bson.Document;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * A collection's documents in the order of an index's keys; one entry per element where a key holds an array. Not safe
 * for concurrent use: its collection's lock protects it.
 */
final class OrderedIndex {

    /** More combinations of `$in` values than this are not looked up one by one. */
    private static final int MAX_LOOKUPS = 1_000;

    private static final long BEFORE = Long.MIN_VALUE;
    private static final long AFTER = Long.MAX_VALUE;

    /** The values of the keys, fewer of them in a bound; the position then says on which side of its equals it lies. */
    private record Entry(Object[] values, long position) {
    }

    /** How this index would answer a query: see {@link #plan}. */
    record Plan(OrderedIndex index, List<List<Object>> prefix, Conditions.Condition range, boolean sorted,
                boolean reversed) {

        /** The longer the prefix the fewer the candidates; a sort saved decides between equals. */
        int score() {
            return prefix.size() * 4 + (range == null ? 0 : 2) + (sorted ? 1 : 0);
        }

        /** Positions of all documents that may match, each once, in the order that was asked for if sorted. */
        Stream<Long> positions() {
            return index.positions(this);
        }
    }

    private final List<IndexKey> keys;
    private final List<String[]> paths;
    private final NavigableSet<Entry> entries = new TreeSet<>(this::compare);
    private final NavigableSet<Long> unindexed = new TreeSet<>();
    private long documentsWithArrays;

    OrderedIndex(List<IndexKey> keys) {
        this.keys = keys;
        this.paths = keys.stream().map(key -> key.getKey().split("\\.", -1)).toList();
    }

    /** Paths into an array's nth element are not served: the entries don't say which element they come from. */
    static boolean supports(List<IndexKey> keys) {
        return keys.stream()
            .flatMap(key -> Arrays.stream(key.getKey().split("\\.", -1)))
            .noneMatch(field -> field.isEmpty() || field.startsWith("$") || field.chars().allMatch(Character::isDigit));
    }

    void add(Document document, long position) {
        Values values = Values.of(document, paths);
        documentsWithArrays += values.hasArray ? 1 : 0;
        if (values.combinations == null) {
            unindexed.add(position);
            return;
        }
        for (Object[] combination : values.combinations) {
            entries.add(new Entry(combination, position));
        }
    }

    void remove(Document document, long position) {
        Values values = Values.of(document, paths);
        documentsWithArrays -= values.hasArray ? 1 : 0;
        if (values.combinations == null) {
            unindexed.remove(position);
            return;
        }
        for (Object[] combination : values.combinations) {
            entries.remove(new Entry(combination, position));
        }
    }

    void clear() {
        entries.clear();
        unindexed.clear();
        documentsWithArrays = 0;
    }

    /** How this index would answer the query in this order, or null when it would be of no use. */
    Plan plan(Conditions conditions, Document orderBy) {
        List<List<Object>> prefix = new ArrayList<>();
        long lookups = 1;
        for (IndexKey key : keys) {
            Conditions.Condition condition = conditions.on(key.getKey());
            if (condition == null || condition.values() == null) {
                break;
            }
            lookups *= Math.max(1, condition.values().size());
            if (lookups > MAX_LOOKUPS) {
                break;
            }
            prefix.add(condition.values());
        }
        Conditions.Condition range = rangeAfter(prefix.size(), conditions);
        Boolean direction = lookups == 1 ? directionOf(orderBy, prefix.size()) : null;
        Plan plan = new Plan(this, prefix, range, direction != null, Boolean.TRUE.equals(direction));
        return plan.score() == 0 ? null : plan;
    }

    private Conditions.Condition rangeAfter(int prefixLength, Conditions conditions) {
        if (prefixLength == keys.size()) {
            return null;
        }
        Conditions.Condition condition = conditions.on(keys.get(prefixLength).getKey());
        return condition != null && condition.isRange() ? condition : null;
    }

    /**
     * Whether the entries behind this prefix, read forwards (false) or backwards (true), come in the order wanted; null
     * when they come in neither.
     */
    private Boolean directionOf(Document orderBy, int prefixLength) {
        if (orderBy == null || orderBy.isEmpty() || documentsWithArrays > 0 || !unindexed.isEmpty()) {
            return null;
        }
        Boolean reversed = null;
        int next = prefixLength;
        for (String path : orderBy.keySet()) {
            if (isFixed(path, prefixLength)) {
                continue;
            }
            if (next == keys.size() || !keys.get(next).getKey().equals(path) || !(orderBy.get(path) instanceof Number wanted)) {
                return null;
            }
            boolean opposite = keys.get(next).isAscending() != wanted.intValue() > 0;
            if (reversed != null && reversed != opposite) {
                return null;
            }
            reversed = opposite;
            next++;
        }
        return reversed != null && reversed;
    }

    private boolean isFixed(String path, int prefixLength) {
        return keys.subList(0, prefixLength).stream().anyMatch(key -> key.getKey().equals(path));
    }

    private Stream<Long> positions(Plan plan) {
        if (plan.sorted && plan.prefix.isEmpty() && plan.range == null) {
            return positionsOf(entries, plan.reversed);
        }
        Stream<Long> found = combinationsOf(plan.prefix).stream()
            .flatMap(prefix -> positionsOf(between(prefix, plan.range), plan.reversed));
        if (!unindexed.isEmpty()) {
            found = Stream.concat(found, unindexed.stream());
        }
        return documentsWithArrays > 0 ? found.distinct() : found;
    }

    private static Stream<Long> positionsOf(NavigableSet<Entry> entries, boolean reversed) {
        return (reversed ? entries.descendingSet() : entries).stream().map(Entry::position);
    }

    private NavigableSet<Entry> between(Object[] prefix, Conditions.Condition range) {
        Entry from = new Entry(prefix, BEFORE);
        Entry to = new Entry(prefix, AFTER);
        if (range != null) {
            boolean ascending = keys.get(prefix.length).isAscending();
            Conditions.Bound lower = range.lower();
            // Different elements of one array may satisfy the two bounds, so with arrays only one of them is used.
            Conditions.Bound upper = documentsWithArrays > 0 && lower != null ? null : range.upper();
            Entry low = lower == null ? aboveNull(prefix, ascending) : edge(prefix, lower, lower.inclusive() == ascending);
            Entry high = upper == null ? null : edge(prefix, upper, upper.inclusive() != ascending);
            from = ascending ? low : high == null ? from : high;
            to = ascending ? high == null ? to : high : low;
        }
        if (compare(from, to) > 0) {
            return Collections.emptyNavigableSet();
        }
        return entries.subSet(from, true, to, true);
    }

    /** No comparison matches null or missing, of which an index often holds many. */
    private static Entry aboveNull(Object[] prefix, boolean ascending) {
        return edge(prefix, new Conditions.Bound(null, false), !ascending);
    }

    private static Entry edge(Object[] prefix, Conditions.Bound bound, boolean before) {
        Object[] values = Arrays.copyOf(prefix, prefix.length + 1);
        values[prefix.length] = bound.value();
        return new Entry(values, before ? BEFORE : AFTER);
    }

    private static List<Object[]> combinationsOf(List<List<Object>> valuesByKey) {
        List<Object[]> combinations = new ArrayList<>();
        combinations.add(new Object[0]);
        for (List<Object> values : valuesByKey) {
            List<Object[]> longer = new ArrayList<>();
            for (Object[] combination : combinations) {
                for (Object value : values) {
                    Object[] extended = Arrays.copyOf(combination, combination.length + 1);
                    extended[combination.length] = value;
                    longer.add(extended);
                }
            }
            combinations = longer;
        }
        return combinations;
    }

    private int compare(Entry left, Entry right) {
        int common = Math.min(left.values.length, right.values.length);
        for (int i = 0; i < common; i++) {
            int order = IndexedValue.compare(left.values[i], right.values[i]);
            if (order != 0) {
                return keys.get(i).isAscending() ? order : -order;
            }
        }
        if (left.values.length < right.values.length) {
            return left.position == BEFORE ? -1 : 1;
        }
        if (left.values.length > right.values.length) {
            return right.position == BEFORE ? 1 : -1;
        }
        return Long.compare(left.position, right.position);
    }

    /** What a document has at an index's paths. */
    private static final class Values {

        /** One array of values per entry; null when the document holds something that can't be indexed. */
        private List<Object[]> combinations;
        private boolean hasArray;

        static Values of(Document document, List<String[]> paths) {
            Values values = new Values();
            List<List<Object>> byKey = new ArrayList<>(paths.size());
            int keysWithSeveral = 0;
            boolean supported = true;
            for (String[] path : paths) {
                List<Object> found = new ArrayList<>(1);
                supported &= values.collect(document, path, 0, found);
                keysWithSeveral += found.size() > 1 ? 1 : 0;
                byKey.add(found);
            }
            // Arrays under two keys belong together element by element, which combinations would not show.
            values.combinations = supported && keysWithSeveral < 2 ? combinationsOf(byKey) : null;
            return values;
        }

        private boolean collect(Object value, String[] path, int depth, List<Object> found) {
            if (value instanceof Collection<?> elements) {
                hasArray = true;
                if (elements.isEmpty()) {
                    found.add(null);
                }
                boolean supported = true;
                for (Object element : elements) {
                    supported &= !(element instanceof Collection) && collect(element, path, depth, found);
                }
                return supported;
            }
            if (depth == path.length) {
                Object indexed = IndexedValue.of(value);
                found.add(indexed);
                return indexed != IndexedValue.UNSUPPORTED;
            }
            boolean canDescend = value instanceof Document;
            return collect(canDescend ? ((Document) value).getOrMissing(path[depth]) : Missing.getInstance(), path,
                canDescend ? depth + 1 : path.length, found);
        }
    }
}
