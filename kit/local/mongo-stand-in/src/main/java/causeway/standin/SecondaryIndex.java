package causeway.standin;

import de.bwaldvogel.mongo.backend.EmptyIndex;
import de.bwaldvogel.mongo.backend.IndexKey;
import java.util.List;

/**
 * The name and keys of an index that constrains nothing. The entries are with the collection, in an
 * {@link OrderedIndex}, because only the collection knows the position of a document that is being removed.
 */
final class SecondaryIndex extends EmptyIndex<Long> {

    SecondaryIndex(String name, List<IndexKey> keys) {
        super(name, keys);
    }
}
