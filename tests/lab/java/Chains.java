import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** Validates chain.pem (leaf first) against root.pem in each folder below the one named; a line for each. */
public final class Chains {
    public static void main(String[] arguments) throws Exception {
        try (DirectoryStream<Path> folders = Files.newDirectoryStream(Path.of(arguments[0]))) {
            for (Path folder : folders) {
                if (Files.isDirectory(folder)) {
                    System.out.println(folder.getFileName() + ": " + verdict(folder));
                }
            }
        }
    }

    private static String verdict(Path folder) {
        try {
            List<X509Certificate> chain = read(folder.resolve("chain.pem"));
            X509Certificate root = read(folder.resolve("root.pem")).get(0);
            pkix(chain, root);
            boolean client = Files.exists(folder.resolve("client"));
            trust(chain, root, client);
            return "OK";
        } catch (Exception refused) {
            return refused.toString();
        }
    }

    private static void pkix(List<X509Certificate> chain, X509Certificate root) throws Exception {
        CertPath path = CertificateFactory.getInstance("X.509").generateCertPath(chain);
        PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
        parameters.setRevocationEnabled(false);
        CertPathValidator.getInstance("PKIX").validate(path, parameters);
    }

    private static void trust(List<X509Certificate> chain, X509Certificate root, boolean client) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setCertificateEntry("root", root);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        X509TrustManager manager = (X509TrustManager) factory.getTrustManagers()[0];
        X509Certificate[] given = chain.toArray(new X509Certificate[0]);
        if (client) {
            manager.checkClientTrusted(given, given[0].getPublicKey().getAlgorithm());
        } else {
            manager.checkServerTrusted(given, "UNKNOWN");
        }
    }

    private static List<X509Certificate> read(Path file) throws Exception {
        List<X509Certificate> found = new ArrayList<>();
        try (InputStream data = Files.newInputStream(file)) {
            for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(data)) {
                found.add((X509Certificate) each);
            }
        }
        return found;
    }
}
