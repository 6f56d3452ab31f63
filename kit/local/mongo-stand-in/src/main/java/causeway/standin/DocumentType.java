package causeway.standin;

import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.bson.BsonDecoder;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.Map;
import org.h2.mvstore.WriteBuffer;
import org.h2.mvstore.type.BasicDataType;

/** Documents are stored as BSON: smaller than Java's own serialization, and several times as fast. */
final class DocumentType extends BasicDataType<Document> {

    static final DocumentType INSTANCE = new DocumentType();

    private static final int BYTES_PER_FIELD = 120;

    private DocumentType() {
    }

    /** An estimate, in bytes; the store only uses it to decide how much it keeps in its cache. */
    @Override
    public int getMemory(Document document) {
        return BYTES_PER_FIELD * fieldsOf(document);
    }

    private static int fieldsOf(Object value) {
        int fields = 1;
        if (value instanceof Map<?, ?> map) {
            for (Object inner : map.values()) {
                fields += fieldsOf(inner);
            }
        } else if (value instanceof Collection<?> collection) {
            for (Object inner : collection) {
                fields += fieldsOf(inner);
            }
        }
        return fields;
    }

    @Override
    public void write(WriteBuffer target, Document document) {
        ByteBuf encoded = Unpooled.buffer(512);
        BsonEncoder.encodeDocument(document, encoded);
        target.put(encoded.array(), encoded.arrayOffset(), encoded.readableBytes());
    }

    @Override
    public Document read(ByteBuffer source) {
        ByteBuf encoded = Unpooled.wrappedBuffer(source);
        int length = encoded.getIntLE(0);
        Document document = BsonDecoder.decodeBson(encoded);
        source.position(source.position() + length);
        return document;
    }

    @Override
    public Document[] createStorage(int size) {
        return new Document[size];
    }
}
