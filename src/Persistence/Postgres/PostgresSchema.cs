namespace Runtara.Persistence.Postgres;

/// <summary>The tables, as migrations that are never changed once released. Times are unix microseconds.</summary>
internal static class PostgresSchema
{
    /// <summary>The key of the advisory lock that lets one node migrate at a time.</summary>
    public const long MigrationLock = 0x72756e74617261;

    public const string Versions =
        "CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY, applied_at bigint NOT NULL)";

    public static readonly IReadOnlyList<string> Migrations =
        [Tables, AkkaView, AgentImages, CustomSignals, FastLists, FinishedIndex, Snapshots, ConsumedSignals];

    /// <summary>A server built without lz4 keeps its default compression.</summary>
    public const string Compression =
        """
        DO $$ BEGIN
          ALTER TABLE journal ALTER COLUMN payload SET COMPRESSION lz4;
          ALTER TABLE checkpoint ALTER COLUMN state SET COMPRESSION lz4;
          ALTER TABLE event ALTER COLUMN payload SET COMPRESSION lz4;
          ALTER TABLE instance ALTER COLUMN input SET COMPRESSION lz4;
          ALTER TABLE instance ALTER COLUMN output SET COMPRESSION lz4;
        EXCEPTION WHEN OTHERS THEN NULL;
        END $$
        """;

    private const string Tables =
        """
        CREATE TABLE journal (
          persistence_id text COLLATE "C" NOT NULL,
          seq bigint NOT NULL,
          at bigint NOT NULL,
          serializer int NOT NULL,
          manifest text COLLATE "C" NOT NULL,
          writer text COLLATE "C" NOT NULL,
          payload bytea NOT NULL,
          PRIMARY KEY (persistence_id, seq));
        CREATE TABLE journal_deleted (
          persistence_id text COLLATE "C" PRIMARY KEY,
          deleted_to bigint NOT NULL);
        CREATE TABLE instance (
          instance_id text COLLATE "C" PRIMARY KEY,
          tenant_id text COLLATE "C" NOT NULL,
          status smallint NOT NULL,
          shard smallint NOT NULL,
          attempt int NOT NULL DEFAULT 0,
          retry_count int NOT NULL DEFAULT 1,
          max_retries int NOT NULL,
          image_id text COLLATE "C",
          image_name text COLLATE "C",
          checkpoint_id text COLLATE "C",
          timeout_ms bigint,
          created_at bigint NOT NULL,
          started_at bigint,
          finished_at bigint,
          wake_at bigint,
          memory_peak_bytes bigint,
          cpu_usec bigint,
          error text,
          stderr text,
          input bytea,
          output bytea) WITH (fillfactor = 70);
        CREATE INDEX instance_created ON instance (created_at DESC, instance_id);
        CREATE INDEX instance_tenant_created ON instance (tenant_id, created_at DESC, instance_id);
        CREATE INDEX instance_tenant_status ON instance (tenant_id, status, created_at DESC, instance_id);
        CREATE INDEX instance_tenant_image ON instance (tenant_id, image_name);
        CREATE INDEX instance_image ON instance (image_id) WHERE status IN (1, 2, 3);
        CREATE INDEX instance_live ON instance (shard) WHERE status IN (1, 2);
        CREATE INDEX instance_wake ON instance (shard, wake_at) WHERE wake_at IS NOT NULL;
        CREATE TABLE checkpoint (
          instance_id text COLLATE "C" NOT NULL,
          checkpoint_id text COLLATE "C" NOT NULL,
          seq bigint NOT NULL,
          at bigint NOT NULL,
          size int NOT NULL,
          state bytea NOT NULL,
          PRIMARY KEY (instance_id, checkpoint_id));
        CREATE INDEX checkpoint_order ON checkpoint (instance_id, seq);
        CREATE TABLE event (
          event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          instance_id text COLLATE "C" NOT NULL,
          seq bigint NOT NULL,
          type text COLLATE "C" NOT NULL,
          subtype text COLLATE "C",
          checkpoint_id text COLLATE "C",
          payload bytea,
          created_at bigint NOT NULL,
          UNIQUE (instance_id, seq));
        CREATE TABLE image_blob (
          sha256 text COLLATE "C" PRIMARY KEY,
          upload_id text COLLATE "C" NOT NULL,
          size bigint NOT NULL);
        CREATE TABLE image_chunk (
          upload_id text COLLATE "C" NOT NULL,
          n int NOT NULL,
          bytes bytea NOT NULL,
          PRIMARY KEY (upload_id, n));
        ALTER TABLE image_chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;
        CREATE TABLE image (
          image_id text COLLATE "C" PRIMARY KEY,
          tenant_id text COLLATE "C" NOT NULL,
          name text COLLATE "C" NOT NULL,
          description text,
          runner_type smallint NOT NULL,
          metadata bytea,
          sha256 text COLLATE "C" NOT NULL,
          size bigint NOT NULL,
          created_at bigint NOT NULL,
          is_current boolean NOT NULL);
        CREATE UNIQUE INDEX image_current ON image (tenant_id, name) WHERE is_current;
        CREATE INDEX image_sha256 ON image (sha256);
        """;

    private const string CustomSignals =
        """
        CREATE TABLE custom_signal (
          instance_id text COLLATE "C" NOT NULL,
          number bigint NOT NULL,
          key text COLLATE "C" NOT NULL,
          at bigint NOT NULL,
          payload bytea NOT NULL,
          PRIMARY KEY (instance_id, number));
        """;

    // Akka.Persistence.Sql reads this as its journal table. Its ordering is only right within one id: the journal has
    // no global order.
    private const string AkkaView =
        """
        CREATE VIEW akka_journal AS SELECT
          seq AS ordering, false AS deleted, persistence_id, seq AS sequence_number,
          621355968000000000 + at * 10 AS created, NULL::varchar AS tags, payload AS message,
          serializer AS identifier, manifest, writer AS writer_uuid
        FROM journal;
        """;

    // Older metadata were not looked at when they came; whoever reads them finds out.
    private const string AgentImages =
        """
        ALTER TABLE image ADD COLUMN has_agents boolean NOT NULL DEFAULT false;
        UPDATE image SET has_agents = true WHERE metadata IS NOT NULL;
        CREATE INDEX image_agents ON image (created_at DESC, image_id) WHERE is_current AND has_agents;
        """;

    // Each list filter has an index that ends with the list's order, so that counts and skipped rows come from it
    // alone. An index-only scan is as fast as the visibility map is fresh: hence the early vacuum.
    private const string FastLists =
        """
        CREATE INDEX instance_status_created ON instance (status, created_at DESC, instance_id);
        DROP INDEX instance_tenant_image;
        CREATE INDEX instance_image_name ON instance (image_name, tenant_id, created_at DESC, instance_id);
        CREATE INDEX instance_tenant_finished ON instance (tenant_id, finished_at) WHERE finished_at IS NOT NULL;
        ALTER TABLE instance SET (
          autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02,
          autovacuum_analyze_scale_factor = 0.02);
        """;

    private const string FinishedIndex =
        "CREATE INDEX instance_finished ON instance (status, finished_at) WHERE finished_at IS NOT NULL";

    private const string Snapshots =
        """
        CREATE TABLE snapshot (
          instance_id text COLLATE "C" PRIMARY KEY,
          seq bigint NOT NULL,
          at bigint NOT NULL,
          serializer int NOT NULL,
          manifest text COLLATE "C" NOT NULL,
          payload bytea NOT NULL);
        DO $$ BEGIN
          ALTER TABLE snapshot ALTER COLUMN payload SET COMPRESSION lz4;
        EXCEPTION WHEN OTHERS THEN NULL;
        END $$;
        """;

    private const string ConsumedSignals =
        """
        ALTER TABLE custom_signal ADD COLUMN is_consumed boolean NOT NULL DEFAULT false;
        CREATE INDEX custom_signal_consumed ON custom_signal (instance_id) WHERE is_consumed;
        """;
}
