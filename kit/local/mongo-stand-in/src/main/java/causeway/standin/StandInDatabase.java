package causeway.standin;

import de.bwaldvogel.mongo.MongoCollection;
import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.backend.AbstractSynchronizedMongoDatabase;
import de.bwaldvogel.mongo.backend.CollectionOptions;
import de.bwaldvogel.mongo.backend.CursorRegistry;
import de.bwaldvogel.mongo.backend.DatabaseResolver;
import de.bwaldvogel.mongo.backend.Index;
import de.bwaldvogel.mongo.backend.IndexKey;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.IndexNotFoundException;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.oplog.Oplog;
import io.netty.channel.Channel;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.UnaryOperator;
import org.h2.mvstore.MVMap;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.type.LongDataType;

/** One database, its collections in maps named `data.<database>.<collection>`; indexes are rebuilt when it is opened. */
final class StandInDatabase extends AbstractSynchronizedMongoDatabase<Long> {

    private static final String MAP_PREFIX = "data.";

    private final MVStore store;

    /** The collections found in the store, until all their indexes are known; null afterwards. */
    private List<StandInCollection> opening = new ArrayList<>();

    StandInDatabase(String name, MVStore store, CursorRegistry cursors) {
        super(name, cursors);
        this.store = store;
        initializeNamespacesAndIndexes();
        opening.forEach(StandInCollection::openIndexes);
        opening = null;
    }

    /** Names of the databases that the store holds. */
    static List<String> namesIn(MVStore store) {
        return store.getMapNames().stream()
            .filter(map -> map.startsWith(MAP_PREFIX))
            .map(map -> map.substring(MAP_PREFIX.length(), map.indexOf('.', MAP_PREFIX.length())))
            .distinct()
            .toList();
    }

    @Override
    public Document handleCommand(Channel channel, String command, Document query, DatabaseResolver databases, Oplog oplog) {
        return switch (command.toLowerCase(java.util.Locale.ROOT)) {
            case "aggregate" -> AggregationInput.during(query,
                () -> super.handleCommand(channel, command, query, databases, oplog));
            case "insert" -> inserted(query, super.handleCommand(channel, command, query, databases, oplog));
            case "update" -> Boolean.TRUE.equals(query.get("ordered"))
                ? inOrder(query, one -> super.handleCommand(channel, command, one, databases, oplog))
                : super.handleCommand(channel, command, query, databases, oplog);
            case "drop" -> {
                requireCollection((String) query.get(command));
                yield super.handleCommand(channel, command, query, databases, oplog);
            }
            case "dropindexes" -> dropIndexes((String) query.get(command), query.get("index"));
            default -> super.handleCommand(channel, command, query, databases, oplog);
        };
    }

    /** mongo-java-server's error has no code to know it by. */
    private void requireCollection(String name) {
        if (resolveCollection(name, false) == null) {
            throw new MongoServerError(26, "NamespaceNotFound", "ns not found");
        }
    }

    /** mongo-java-server counts the documents that it was given, MongoDB those that it took. */
    private static Document inserted(Document command, Document reply) {
        if (reply.get("writeErrors") instanceof List<?> errors) {
            boolean ordered = Boolean.TRUE.equals(command.get("ordered"));
            int given = ((Collection<?>) command.get("documents")).size();
            reply.put("n", ordered ? ((Document) errors.get(0)).get("index") : (Object) (given - errors.size()));
        }
        return reply;
    }

    /** mongo-java-server goes on after an update that failed; where they are ordered, MongoDB does not. */
    private static Document inOrder(Document command, UnaryOperator<Document> run) {
        List<?> updates = (List<?>) command.get("updates");
        int matched = 0;
        int modified = 0;
        List<Object> upserted = new ArrayList<>();
        Document merged = new Document();
        for (int i = 0; i < updates.size() && !merged.containsKey("writeErrors"); i++) {
            Document one = command.clone();
            one.put("updates", List.of(updates.get(i)));
            Document reply = run.apply(one);
            matched += (Integer) reply.get("n");
            modified += (Integer) reply.get("nModified");
            upserted.addAll(indexed(reply.get("upserted"), i));
            if (reply.containsKey("writeErrors")) {
                merged.put("writeErrors", indexed(reply.get("writeErrors"), i));
            }
        }
        merged.append("n", matched).append("nModified", modified);
        if (!upserted.isEmpty()) {
            merged.put("upserted", upserted);
        }
        return merged.append("ok", 1.0);
    }

    private static List<Object> indexed(Object entries, int index) {
        List<Object> result = new ArrayList<>();
        if (entries instanceof Collection<?> several) {
            several.forEach(entry -> result.add(((Document) entry).append("index", index)));
        }
        return result;
    }

    @Override
    protected MongoCollection<Long> openOrCreateCollection(String name, CollectionOptions options) {
        boolean isOpening = opening != null;
        var collection = new StandInCollection(this, name, options, cursorRegistry, openMap(name), isOpening);
        if (isOpening) {
            opening.add(collection);
        }
        return collection;
    }

    private MVMap<Long, Document> openMap(String collectionName) {
        return store.openMap(mapName(collectionName), new MVMap.Builder<Long, Document>()
            .keyType(LongDataType.INSTANCE)
            .valueType(DocumentType.INSTANCE));
    }

    private String mapName(String collectionName) {
        return MAP_PREFIX + getFullCollectionNamespace(collectionName);
    }

    @Override
    protected Index<Long> openOrCreateUniqueIndex(String collection, String name, List<IndexKey> keys, boolean sparse) {
        return new UniqueIndex(name, keys, sparse);
    }

    @Override
    protected Index<Long> openOrCreateSecondaryIndex(String collection, String name, List<IndexKey> keys, boolean sparse) {
        return new SecondaryIndex(name, keys);
    }

    /** A unique index that ignored its filter would refuse what MongoDB accepts, so it is refused itself. */
    @Override
    protected synchronized void addIndex(Document description) {
        if (description.containsKey("partialFilterExpression") && Boolean.TRUE.equals(description.get("unique"))) {
            throw new MongoServerError(67, "CannotCreateIndex", "this stand-in has no unique partial indexes");
        }
        super.addIndex(description);
    }

    /** mongo-java-server would look for the index in every collection of the database. */
    private synchronized Document dropIndexes(String collectionName, Object wanted) {
        MongoCollection<Long> collection = resolveCollection(collectionName, false);
        Document reply = new Document();
        if (collection != null) {
            reply.put("nIndexesWas", collection.getNumIndexes());
            for (Document description : describedBy(collection, wanted)) {
                dropIndex(collection, (String) description.get("name"));
                indexes.get().removeDocument(description);
            }
        }
        return reply.append("ok", 1.0);
    }

    private List<Document> describedBy(MongoCollection<Long> collection, Object wanted) {
        List<Document> found = new ArrayList<>();
        for (Document description : indexes.get().handleQuery(new Document("ns", collection.getFullName()))) {
            Object name = description.get("name");
            boolean isWanted = wanted.equals("*")
                ? !name.equals("_id_")
                : wanted.equals(name) || wanted.equals(description.get("key"))
                    || wanted instanceof Collection<?> names && names.contains(name);
            if (isWanted) {
                found.add(description);
            }
        }
        if (found.isEmpty() && !wanted.equals("*")) {
            throw new IndexNotFoundException("index not found with name [" + wanted + "]");
        }
        return found;
    }

    @Override
    public synchronized MongoCollection<Long> createCollectionOrThrowIfExists(String name, CollectionOptions options) {
        return super.createCollectionOrThrowIfExists(name, options);
    }

    @Override
    public synchronized void dropCollection(String name, Oplog oplog) {
        StandInCollection collection = (StandInCollection) resolveCollection(name, true);
        super.dropCollection(name, oplog);
        store.removeMap(collection.documents());
    }

    @Override
    public synchronized void drop(Oplog oplog) {
        super.drop(oplog);
    }

    @Override
    public synchronized void moveCollection(MongoDatabase from, MongoCollection<?> collection, String newName) {
        super.moveCollection(from, collection, newName);
        store.renameMap(((StandInCollection) collection).documents(), mapName(newName));
    }

    @Override
    protected long getStorageSize() {
        return store.getFileStore() == null ? 0 : store.getFileStore().size();
    }

    @Override
    protected long getFileSize() {
        return getStorageSize();
    }
}
