package causeway.standin;

import de.bwaldvogel.mongo.bson.Document;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * What an aggregation on this thread is about to read. mongo-java-server hands every document of the collection to the
 * first stage; where that is a `$match`, an index can do its work instead, as it would in MongoDB.
 */
final class AggregationInput {

    private static final ThreadLocal<AggregationInput> PENDING = new ThreadLocal<>();

    private final String collectionName;
    private final Document filter;
    private final boolean copies;

    private AggregationInput(String collectionName, Document filter, boolean copies) {
        this.collectionName = collectionName;
        this.filter = filter;
        this.copies = copies;
    }

    /** Runs the command; the first read of its collection is narrowed to what its pipeline's `$match` asks for. */
    static Document during(Document command, Supplier<Document> run) {
        PENDING.set(of(command));
        try {
            return run.get();
        } finally {
            PENDING.remove();
        }
    }

    /** What to read in place of all documents, once; null when there is nothing to narrow. */
    static AggregationInput takeFor(StandInCollection collection) {
        AggregationInput input = PENDING.get();
        if (input == null || !input.collectionName.equals(collection.getCollectionName())) {
            return null;
        }
        PENDING.remove();
        return input;
    }

    Iterable<Document> read(StandInCollection collection) {
        Iterable<Document> found = collection.handleQuery(filter);
        if (!copies) {
            return found;
        }
        return () -> java.util.stream.StreamSupport.stream(found.spliterator(), false).map(Document::cloneDeeply).iterator();
    }

    private static AggregationInput of(Document command) {
        if (!(command.get("pipeline") instanceof List<?> pipeline) || pipeline.isEmpty()) {
            return null;
        }
        boolean matchesFirst = pipeline.get(0) instanceof Document stage && stage.get("$match") instanceof Document;
        Document filter = matchesFirst ? (Document) ((Document) pipeline.get(0)).get("$match") : new Document();
        return new AggregationInput((String) command.get("aggregate"), filter, changesNested(pipeline));
    }

    /** `$addFields` of mongo-java-server writes nested fields into the very documents that it is given. */
    private static boolean changesNested(Object pipeline) {
        if (pipeline instanceof Collection<?> stages) {
            return stages.stream().anyMatch(AggregationInput::changesNested);
        }
        return pipeline instanceof Map<?, ?> stage
            && (stage.containsKey("$addFields") || stage.values().stream().anyMatch(AggregationInput::changesNested));
    }
}
