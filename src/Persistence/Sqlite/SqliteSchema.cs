namespace Runtara.Persistence.Sqlite;

/// <summary>The tables, as migrations that are never changed once released. Times are unix microseconds.</summary>
internal static class SqliteSchema
{
    public const string Versions =
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)";

    public static readonly IReadOnlyList<string> Migrations =
        [Tables, AkkaView, AgentImages, CustomSignals, FastLists, FinishedIndex, Snapshots, ConsumedSignals];

    private const string Tables =
        """
        CREATE TABLE journal (
          persistence_id TEXT NOT NULL,
          seq INTEGER NOT NULL,
          at INTEGER NOT NULL,
          serializer INTEGER NOT NULL,
          manifest TEXT NOT NULL,
          writer TEXT NOT NULL,
          payload BLOB NOT NULL,
          PRIMARY KEY (persistence_id, seq)) WITHOUT ROWID;
        CREATE TABLE journal_deleted (
          persistence_id TEXT PRIMARY KEY,
          deleted_to INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE instance (
          instance_id TEXT PRIMARY KEY,
          tenant_id TEXT NOT NULL,
          status INTEGER NOT NULL,
          shard INTEGER NOT NULL,
          attempt INTEGER NOT NULL DEFAULT 0,
          retry_count INTEGER NOT NULL DEFAULT 1,
          max_retries INTEGER NOT NULL,
          image_id TEXT,
          image_name TEXT,
          checkpoint_id TEXT,
          timeout_ms INTEGER,
          created_at INTEGER NOT NULL,
          started_at INTEGER,
          finished_at INTEGER,
          wake_at INTEGER,
          memory_peak_bytes INTEGER,
          cpu_usec INTEGER,
          error TEXT,
          stderr TEXT,
          input BLOB,
          output BLOB);
        CREATE INDEX instance_created ON instance (created_at DESC, instance_id);
        CREATE INDEX instance_tenant_created ON instance (tenant_id, created_at DESC, instance_id);
        CREATE INDEX instance_tenant_status ON instance (tenant_id, status, created_at DESC, instance_id);
        CREATE INDEX instance_tenant_image ON instance (tenant_id, image_name);
        CREATE INDEX instance_image ON instance (image_id) WHERE status IN (1, 2, 3);
        CREATE INDEX instance_live ON instance (shard) WHERE status IN (1, 2);
        CREATE INDEX instance_wake ON instance (shard, wake_at) WHERE wake_at IS NOT NULL;
        CREATE TABLE checkpoint (
          instance_id TEXT NOT NULL,
          checkpoint_id TEXT NOT NULL,
          seq INTEGER NOT NULL,
          at INTEGER NOT NULL,
          size INTEGER NOT NULL,
          state BLOB NOT NULL,
          PRIMARY KEY (instance_id, checkpoint_id));
        CREATE INDEX checkpoint_order ON checkpoint (instance_id, seq);
        CREATE TABLE event (
          event_id INTEGER PRIMARY KEY AUTOINCREMENT,
          instance_id TEXT NOT NULL,
          seq INTEGER NOT NULL,
          type TEXT NOT NULL,
          subtype TEXT,
          checkpoint_id TEXT,
          payload BLOB,
          created_at INTEGER NOT NULL,
          UNIQUE (instance_id, seq));
        CREATE TABLE image (
          image_id TEXT PRIMARY KEY,
          tenant_id TEXT NOT NULL,
          name TEXT NOT NULL,
          description TEXT,
          runner_type INTEGER NOT NULL,
          metadata BLOB,
          sha256 TEXT NOT NULL,
          size INTEGER NOT NULL,
          created_at INTEGER NOT NULL,
          is_current INTEGER NOT NULL);
        CREATE UNIQUE INDEX image_current ON image (tenant_id, name) WHERE is_current;
        CREATE INDEX image_sha256 ON image (sha256);
        """;

    private const string CustomSignals =
        """
        CREATE TABLE custom_signal (
          instance_id TEXT NOT NULL,
          number INTEGER NOT NULL,
          key TEXT NOT NULL,
          at INTEGER NOT NULL,
          payload BLOB NOT NULL,
          PRIMARY KEY (instance_id, number));
        """;

    // Akka.Persistence.Sql reads this as its journal table. Its ordering is only right within one id: the journal has
    // no global order.
    private const string AkkaView =
        """
        CREATE VIEW akka_journal AS SELECT
          seq AS ordering, 0 AS deleted, persistence_id, seq AS sequence_number,
          621355968000000000 + at * 10 AS created, NULL AS tags, payload AS message,
          serializer AS identifier, manifest, writer AS writer_uuid
        FROM journal;
        """;

    // Older metadata were not looked at when they came; whoever reads them finds out.
    private const string AgentImages =
        """
        ALTER TABLE image ADD COLUMN has_agents INTEGER NOT NULL DEFAULT 0;
        UPDATE image SET has_agents = 1 WHERE metadata IS NOT NULL;
        CREATE INDEX image_agents ON image (created_at DESC, image_id) WHERE is_current AND has_agents;
        """;

    // Each list filter has an index that ends with the list's order, so that counts and skipped rows come from it
    // alone.
    private const string FastLists =
        """
        CREATE INDEX instance_status_created ON instance (status, created_at DESC, instance_id);
        DROP INDEX instance_tenant_image;
        CREATE INDEX instance_image_name ON instance (image_name, tenant_id, created_at DESC, instance_id);
        CREATE INDEX instance_tenant_finished ON instance (tenant_id, finished_at) WHERE finished_at IS NOT NULL;
        """;

    private const string FinishedIndex =
        "CREATE INDEX instance_finished ON instance (status, finished_at) WHERE finished_at IS NOT NULL";

    private const string Snapshots =
        """
        CREATE TABLE snapshot (
          instance_id TEXT PRIMARY KEY,
          seq INTEGER NOT NULL,
          at INTEGER NOT NULL,
          serializer INTEGER NOT NULL,
          manifest TEXT NOT NULL,
          payload BLOB NOT NULL);
        """;

    private const string ConsumedSignals =
        """
        ALTER TABLE custom_signal ADD COLUMN is_consumed INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX custom_signal_consumed ON custom_signal (instance_id) WHERE is_consumed;
        """;
}
