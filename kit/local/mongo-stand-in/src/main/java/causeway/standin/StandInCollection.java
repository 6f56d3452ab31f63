package causeway.standin;

import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.backend.AbstractSynchronizedMongoCollection;
import de.bwaldvogel.mongo.backend.ArrayFilters;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.DocumentWithPosition;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.QueryResult;
import de.bwaldvogel.mongo.bson.BsonRegularExpression;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.IndexBuildFailedException;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.oplog.Oplog;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.h2.mvstore.MVMap;

/**
 * Documents by position, in the order of their insertion. A stored document is never changed in place: an update stores
 * a changed copy, so that a reader whose answer is still being sent, and the store's background writer, see one state.
 */
final class StandInCollection extends AbstractSynchronizedMongoCollection<Long> {

    private static final String ID_INDEX = "_id_";

    private final MVMap<Long, Document> documents;
    private final Map<String, OrderedIndex> orderedIndexes = new LinkedHashMap<>();
    private long nextPosition;
    private boolean isOpening;
    private boolean answersUpdate;

    StandInCollection(MongoDatabase database, String name, CollectionOptions options, CursorRegistry cursors,
                      MVMap<Long, Document> documents, boolean isOpening) {
        super(database, name, options, cursors);
        this.isOpening = isOpening;
        this.documents = documents;
        this.nextPosition = documents.isEmpty() ? 0 : documents.lastKey() + 1;
    }

    MVMap<Long, Document> documents() {
        return documents;
    }

    @Override
    protected Long addDocumentInternal(Document document) {
        Long position = nextPosition++;
        documents.put(position, document);
        orderedIndexes.values().forEach(index -> index.add(document, position));
        return position;
    }

    @Override
    protected void handleUpdate(Long position, Document oldDocument, Document newDocument) {
        documents.put(position, newDocument);
        for (OrderedIndex index : orderedIndexes.values()) {
            index.remove(oldDocument, position);
            index.add(newDocument, position);
        }
    }

    @Override
    protected void removeDocument(Long position) {
        Document removed = documents.remove(position);
        orderedIndexes.values().forEach(index -> index.remove(removed, position));
    }

    @Override
    protected Document getDocument(Long position) {
        return documents.get(position);
    }

    /** Only asked where there is no index, so of the collections that describe the others. */
    @Override
    protected Long findDocumentPosition(Document document) {
        return documents.entrySet().stream()
            .filter(candidate -> candidate.getValue().equals(document))
            .map(Map.Entry::getKey)
            .findFirst()
            .orElse(null);
    }

    /** Only asked when an index is added, to fill it; that happens here, in {@link #fill}. */
    @Override
    protected Stream<DocumentWithPosition<Long>> streamAllDocumentsWithPosition() {
        return Stream.empty();
    }

    @Override
    public synchronized Document updateDocuments(Document selector, Document update, ArrayFilters arrayFilters,
                                                 boolean isMulti, boolean isUpsert, Oplog oplog) {
        answersUpdate = true;
        try {
            return super.updateDocuments(selector, update, arrayFilters, isMulti, isUpsert, oplog);
        } finally {
            answersUpdate = false;
        }
    }

    @Override
    public synchronized Document findAndModify(Document query) {
        answersUpdate = true;
        try {
            return super.findAndModify(query);
        } finally {
            answersUpdate = false;
        }
    }

    @Override
    protected QueryResult queryDocuments(Document query, Document orderBy, int skip, int limit, int batchSize,
                                         Document projection) {
        QueryResult result = queryStored(query, orderBy, skip, limit, batchSize, projection);
        if (!answersUpdate) {
            return result;
        }
        // The caller changes what it gets, but only at the top level: what lies deeper it has copied itself.
        List<Document> copies = new ArrayList<>();
        result.forEach(document -> copies.add(document.clone()));
        return new QueryResult(copies);
    }

    private QueryResult queryStored(Document query, Document orderBy, int skip, int limit, int batchSize,
                                    Document projection) {
        if (orderBy != null && orderBy.containsKey("$natural")) {
            return matchDocuments(query, orderBy, skip, limit, batchSize, projection);
        }
        Stream<Long> byId = positionsById(query.get("_id"));
        if (byId != null) {
            return matchAt(byId, query, orderBy, skip, limit, batchSize, projection);
        }
        Conditions conditions = Conditions.of(query);
        OrderedIndex.Plan plan = orderedIndexes.values().stream()
            .map(index -> index.plan(conditions, orderBy))
            .filter(Objects::nonNull)
            .max(Comparator.comparingInt(OrderedIndex.Plan::score))
            .orElse(null);
        if (plan == null) {
            return matchDocuments(query, orderBy, skip, limit, batchSize, projection);
        }
        Document remainingOrder = plan.sorted() ? null : orderBy;
        return matchAt(plan.positions(), query, remainingOrder, skip, limit, batchSize, projection);
    }

    private QueryResult matchAt(Stream<Long> positions, Document query, Document orderBy, int skip, int limit,
                                int batchSize, Document projection) {
        return matchDocumentsFromStream(positions.map(documents::get), query, orderBy, skip, limit, batchSize, projection);
    }

    /** Where documents with the id or one of the ids are, or null when the condition isn't of that kind. */
    private Stream<Long> positionsById(Object condition) {
        UniqueIndex ids = idIndex();
        if (condition == null || ids == null || condition instanceof BsonRegularExpression
            || condition instanceof Collection) {
            return null;
        }
        if (condition instanceof Document document && document.keySet().stream().anyMatch(key -> key.startsWith("$"))) {
            Object operand = document.containsKey("$eq") ? Collections.singletonList(document.get("$eq")) : document.get("$in");
            if (!(operand instanceof Collection<?> several) || several.stream().anyMatch(BsonRegularExpression.class::isInstance)) {
                return null;
            }
            return several.stream().map(ids::find).filter(Objects::nonNull).distinct();
        }
        return Stream.ofNullable(ids.find(condition));
    }

    private UniqueIndex idIndex() {
        for (Index<Long> index : getIndexes()) {
            if (index.getName().equals(ID_INDEX)) {
                return (UniqueIndex) index;
            }
        }
        return null;
    }

    @Override
    protected QueryResult matchDocuments(Document query, Document orderBy, int skip, int limit, int batchSize,
                                         Document projection) {
        Stream<Document> all = isNaturalDescending(orderBy)
            ? descending()
            : documents.values().stream();
        return matchDocumentsFromStream(all, query, orderBy, skip, limit, batchSize, projection);
    }

    private Stream<Document> descending() {
        Long last = documents.lastKey();
        return last == null ? Stream.empty() : Stream.iterate(last, Objects::nonNull, documents::lowerKey).map(documents::get);
    }

    @Override
    public Iterable<Document> queryAll() {
        AggregationInput input = AggregationInput.takeFor(this);
        return input == null ? super.queryAll() : input.read(this);
    }

    /** Fills the indexes in one pass over the documents, each of which has to be read and decoded for it. */
    synchronized void openIndexes() {
        isOpening = false;
        fill(getIndexes());
    }

    @Override
    public synchronized void addIndex(Index<Long> index) {
        boolean isNew = getIndexes().stream().noneMatch(existing -> existing.getName().equals(index.getName()));
        super.addIndex(index);
        if (!isNew) {
            return;
        }
        if (OrderedIndex.supports(index.getKeys())) {
            orderedIndexes.put(index.getName(), new OrderedIndex(index.getKeys()));
        }
        if (!isOpening) {
            try {
                fill(List.of(index));
            } catch (MongoServerError e) {
                dropIndex(index.getName());
                throw new IndexBuildFailedException(e, this);
            }
        }
    }

    private void fill(List<Index<Long>> indexes) {
        List<OrderedIndex> ordered = indexes.stream()
            .map(index -> orderedIndexes.get(index.getName()))
            .filter(Objects::nonNull)
            .toList();
        documents.forEach((position, document) -> {
            indexes.forEach(index -> index.add(document, position, this));
            ordered.forEach(index -> index.add(document, position));
        });
    }

    @Override
    public synchronized void dropIndex(String indexName) {
        super.dropIndex(indexName);
        orderedIndexes.remove(indexName);
    }

    @Override
    public synchronized void drop() {
        super.drop();
        documents.clear();
        orderedIndexes.clear();
    }

    @Override
    public synchronized int count() {
        return documents.size();
    }

    @Override
    public synchronized int count(Document query, int skip, int limit) {
        return super.count(query, skip, limit);
    }

    @Override
    protected boolean tracksDataSize() {
        return false;
    }

    @Override
    protected void updateDataSize(int sizeDelta) {
        // Measuring would mean to encode every document once more.
    }

    @Override
    protected int getDataSize() {
        return 0;
    }
}
