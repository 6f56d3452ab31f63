package causeway.standin;

import de.bwaldvogel.mongo.MongoDatabase;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.AbstractMongoBackend;
import de.bwaldvogel.mongo.bson.Document;
import io.netty.channel.Channel;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.h2.mvstore.MVStore;

/** All databases over one store. A write is answered once it is in the store's file, if the store has one. */
final class StandInBackend extends AbstractMongoBackend {

    private static final Set<String> READS = Set.of("find", "getmore", "count", "distinct", "killcursors", "ping",
        "ismaster", "hello", "buildinfo", "serverstatus", "listcollections", "listindexes", "listdatabases",
        "endsessions", "collstats", "dbstats", "validate", "getlasterror", "connectionstatus", "whatsmyuri");

    /** What the Node driver asks for at least. */
    private static final MongoVersion ANNOUNCED = new MongoVersion() {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(6, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return 9;
        }
    };

    /** Drop or move collections: a write to one that is being dropped would fail in the middle. */
    private static final Set<String> ALONE = Set.of("drop", "dropdatabase", "renamecollection");

    private final MVStore store;
    private final ReadWriteLock collections = new ReentrantReadWriteLock();
    private final Map<String, StandInDatabase> databases = new ConcurrentHashMap<>();

    StandInBackend(MVStore store) {
        this.store = store;
        version(ANNOUNCED);
        StandInDatabase.namesIn(store).forEach(this::resolveDatabase);
    }

    @Override
    public Document handleCommand(Channel channel, String database, String command, Document query) {
        String name = command.toLowerCase(Locale.ROOT);
        Lock lock = ALONE.contains(name) ? collections.writeLock() : collections.readLock();
        lock.lock();
        try {
            return super.handleCommand(channel, database, command, query);
        } finally {
            lock.unlock();
            if (store.getFileStore() != null && !READS.contains(name)) {
                store.commit();
            }
        }
    }

    /** Also asked for databases that are open, which must not be opened twice. */
    @Override
    protected MongoDatabase openOrCreateDatabase(String name) {
        return databases.computeIfAbsent(name, key -> new StandInDatabase(name, store, getCursorRegistry()));
    }

    @Override
    public void dropDatabase(String name) {
        super.dropDatabase(name);
        databases.remove(name);
    }

    @Override
    public void close() {
        super.close();
        store.close();
    }
}
