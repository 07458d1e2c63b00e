import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import org.springframework.vault.VaultException;
import org.springframework.vault.authentication.LifecycleAwareSessionManager;
import org.springframework.vault.authentication.LoginToken;
import org.springframework.vault.authentication.TokenAuthentication;
import org.springframework.vault.client.RestTemplateBuilder;
import org.springframework.vault.client.SimpleVaultEndpointProvider;
import org.springframework.vault.client.VaultEndpoint;
import org.springframework.vault.core.VaultKeyValueOperationsSupport.KeyValueBackend;
import org.springframework.vault.core.VaultTemplate;
import org.springframework.vault.core.env.VaultPropertySource;
import org.springframework.vault.support.VaultToken;
import org.springframework.vault.support.VaultTokenRequest;
import org.springframework.vault.support.Versioned.Version;

/** Reads from Vault with Spring Vault. Takes the numbers of a version in each store as JSON, prints what it has seen. */
public final class Main {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Logger SPRING = Logger.getLogger("org.springframework");

  public static void main(String[] args) throws Exception {
    // What it does to its token is no complaint.
    SPRING.setLevel(Level.WARNING);
    VaultEndpoint endpoint = VaultEndpoint.from(URI.create(System.getenv("VAULT_ADDR")));
    VaultTemplate vault = new VaultTemplate(endpoint, new TokenAuthentication(System.getenv("VAULT_TOKEN")));
    Map<?, ?> first = JSON.readValue(args[0], Map.class);
    Map<String, Object> seen = new LinkedHashMap<>();
    for (Map.Entry<?, ?> one : first.entrySet()) {
      String store = one.getKey().toString();
      seen.put(store, read(vault, store, (Integer) one.getValue()));
    }
    Map<String, Object> session = session(vault, endpoint);
    System.out.writeBytes(JSON.writeValueAsBytes(Map.of("stores", seen, "session", session)));
    System.out.flush();
  }

  private static Map<String, Object> read(VaultTemplate vault, String store, int first) {
    var two = vault.opsForKeyValue(store, KeyValueBackend.KV_2);
    var one = vault.opsForKeyValue("kv1/" + store, KeyValueBackend.KV_1);
    var versions = vault.opsForVersionedKeyValue(store);
    // What an application's configuration is read by; it asks which version of KV the path is.
    var properties = new VaultPropertySource(vault, store + "/payments/db");
    Map<String, Object> seen = new LinkedHashMap<>();
    seen.put("db", two.get("payments/db").getRequiredData());
    seen.put("v1", one.get("payments/db").getRequiredData());
    seen.put("text", two.get("text").getRequiredData());
    seen.put("bytes", two.get("bytes").getRequiredData());
    seen.put("first", versions.get("turned", Version.from(first)).getRequiredData());
    seen.put("last", versions.get("turned").getRequiredData());
    seen.put("keys", two.list("payments"));
    boolean isMissing =
        two.get("payments/none") == null
            && one.get("payments/none") == null
            && two.list("payments/none").equals(List.of());
    seen.put("missing", isMissing ? "missing" : "there");
    seen.put("property", Objects.toString(properties.getProperty("password")));
    return seen;
  }

  /** A token that Spring looks up, renews and revokes, as it does for an application from start to stop. */
  private static Map<String, Object> session(VaultTemplate vault, VaultEndpoint endpoint) throws Exception {
    var request = VaultTokenRequest.builder().ttl(Duration.ofMinutes(10)).renewable().build();
    VaultToken child = vault.opsForToken().create(request).getToken();
    var scheduler = new ThreadPoolTaskScheduler();
    scheduler.setDaemon(true);
    scheduler.afterPropertiesSet();
    var rest =
        RestTemplateBuilder.builder().endpointProvider(SimpleVaultEndpointProvider.of(endpoint)).build();
    var manager = new LifecycleAwareSessionManager(new TokenAuthentication(child), scheduler, rest);
    Map<String, Object> session = new LinkedHashMap<>();
    session.put("initialized", vault.opsForSys().health().isInitialized());
    session.put("sameToken", manager.getSessionToken().getToken().equals(child.getToken()));
    session.put("renewed", manager.renewToken());
    manager.destroy();
    // It revokes only a token that it got by a sign-in.
    var login = LoginToken.renewable(child, Duration.ofMinutes(10));
    var signedIn = new LifecycleAwareSessionManager(new TokenAuthentication(login), scheduler, rest);
    signedIn.getSessionToken();
    signedIn.destroy();
    scheduler.shutdown();
    session.put("afterStop", afterStop(endpoint, child));
    return session;
  }

  private static String afterStop(VaultEndpoint endpoint, VaultToken token) {
    try {
      new VaultTemplate(endpoint, new TokenAuthentication(token)).read("auth/token/lookup-self");
      return "valid";
    } catch (VaultException gone) {
      return "revoked";
    }
  }
}
