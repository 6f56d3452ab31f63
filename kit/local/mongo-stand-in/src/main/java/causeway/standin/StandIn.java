package causeway.standin;

import de.bwaldvogel.mongo.MongoServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.HashMap;
import java.util.Map;
import org.h2.mvstore.MVStore;

/**
 * Serves MongoDB's protocol. Arguments: `--port-file FILE` gets the port once it is open, `--port N` asks for one (0: any),
 * `--host ADDRESS` for another address than 127.0.0.1, `--directory DIR` keeps the data there instead of in memory.
 */
public final class StandIn {

    private static final int EVENT_LOOPS = 32;
    private static final int CACHE_MEGABYTES = 64;

    /** A change writes its page anew, so small pages make small updates cheaper. */
    private static final int KEYS_PER_PAGE = 8;

    private StandIn() {
    }

    public static void main(String[] arguments) {
        try {
            serve(optionsOf(arguments));
        } catch (IOException | RuntimeException e) {
            // By itself the process would stay, on the threads that are started by then.
            System.err.println(e);
            System.exit(1);
        }
    }

    private static void serve(Map<String, String> options) throws IOException {
        MVStore store = open(options.get("--directory"));
        MongoServer server = new MongoServer(new StandInBackend(store));
        int port = Integer.parseInt(options.getOrDefault("--port", "0"));
        // A connection's commands run on its event loop, and a write waits there for the disk: one loop per connection.
        server.bind(new InetSocketAddress(options.getOrDefault("--host", "127.0.0.1"), port), 1, EVENT_LOOPS);
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        announce(Path.of(options.get("--port-file")), server.getLocalAddress().getPort());
    }

    private static Map<String, String> optionsOf(String[] arguments) {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < arguments.length; i += 2) {
            options.put(arguments[i], arguments[i + 1]);
        }
        return options;
    }

    private static MVStore open(String directory) {
        MVStore.Builder builder = new MVStore.Builder();
        if (directory != null) {
            builder.fileName(Path.of(directory, "documents.mv").toString()).cacheSize(CACHE_MEGABYTES).keysPerPage(KEYS_PER_PAGE);
        }
        return builder.open();
    }

    /** Moved into place, so that whoever waits for the file never reads half a number. */
    private static void announce(Path portFile, int port) throws IOException {
        Path unfinished = portFile.resolveSibling(portFile.getFileName() + ".new");
        Files.writeString(unfinished, Integer.toString(port));
        Files.move(unfinished, portFile, StandardCopyOption.ATOMIC_MOVE);
    }
}
