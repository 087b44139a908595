import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.Security;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/** Shakes hands by one protocol alone, with the key of a PKCS#12 file (password "changeit"); prints its port. */
public final class OldServer {
    public static void main(String[] arguments) throws Exception {
        Security.setProperty("jdk.tls.disabledAlgorithms", "");
        Security.setProperty("jdk.certpath.disabledAlgorithms", "");
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (var file = Files.newInputStream(Path.of(arguments[0]))) {
            store.load(file, "changeit".toCharArray());
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, "changeit".toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        var address = java.net.InetAddress.getLoopbackAddress();
        var server = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 50, address);
        server.setEnabledProtocols(new String[] {arguments[1]});
        System.out.println(server.getLocalPort());
        while (true) {
            try (SSLSocket peer = (SSLSocket) server.accept()) {
                peer.setSoTimeout(5000);
                peer.startHandshake();
            } catch (java.io.IOException refused) {
                continue; // a client that wanted something else
            }
        }
    }
}
