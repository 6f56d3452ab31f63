package causeway.standin;

import de.bwaldvogel.mongo.backend.AbstractUniqueIndex;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.backend.KeyValue;
import java.util.List;
import java.util.Map;
import java.util.Map.Entry;
import java.util.concurrent.ConcurrentHashMap;

/** Guards that no two documents have the same keys, and finds a document by its whole key. */
final class UniqueIndex extends AbstractUniqueIndex<Long> {

    private final Map<KeyValue, Long> positions = new ConcurrentHashMap<>();

    UniqueIndex(String name, List<IndexKey> keys, boolean sparse) {
        super(name, keys, sparse);
    }

    /** Where the document with this single key is, or null. */
    Long find(Object key) {
        return positions.get(new KeyValue(new Object[] {key}).normalized());
    }

    @Override
    protected Long removeDocument(KeyValue key) {
        return positions.remove(key);
    }

    @Override
    protected boolean putKeyPosition(KeyValue key, Long position) {
        return positions.putIfAbsent(key, position) == null;
    }

    @Override
    protected Iterable<Entry<KeyValue, Long>> getIterable() {
        return positions.entrySet();
    }

    @Override
    protected Long getPosition(KeyValue key) {
        return positions.get(key);
    }

    @Override
    public long getCount() {
        return positions.size();
    }

    @Override
    public long getDataSize() {
        return getCount();
    }
}
