namespace Runtara.Persistence.Postgres;

/// <summary>The statements of the write and recovery paths.</summary>
internal static class PostgresSql
{
    public const string InsertJournal =
        """
        INSERT INTO journal (persistence_id, seq, at, serializer, manifest, writer, payload)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[], $5::text[], $6::text[], $7::bytea[])
        """;

    /// <summary>
    /// A start that meets a deletion of its image: whoever has the row first, the other waits for its commit. So the
    /// deletion counts the instance, or the instance comes after the deletion and its launch finds no image.
    /// </summary>
    public const string LockImages =
        "SELECT FROM image WHERE image_id = ANY ($1::text[]) ORDER BY image_id FOR KEY SHARE";

    public const string InsertInstance =
        """
        INSERT INTO instance (instance_id, tenant_id, status, shard, image_id, image_name, timeout_ms, max_retries,
          created_at, started_at, input)
        SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::smallint[], $5::text[], $6::text[],
          $7::bigint[], $8::int[], $9::bigint[], $10::bigint[], $11::bytea[])
        """;

    public const string InsertCheckpoint =
        """
        INSERT INTO checkpoint (instance_id, checkpoint_id, seq, at, size, state)
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::int[], $6::bytea[])
        ON CONFLICT DO NOTHING
        """;

    public const string InsertEvent =
        """
        INSERT INTO event (instance_id, seq, type, subtype, checkpoint_id, payload, created_at)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bigint[])
        """;

    public const string InsertCustomSignal =
        """
        INSERT INTO custom_signal (instance_id, number, key, at, payload)
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bytea[])
        """;

    public const string DeleteConsumed =
        "DELETE FROM custom_signal WHERE instance_id = ANY ($1::text[]) AND is_consumed";

    public const string Consume =
        """
        UPDATE custom_signal AS s SET is_consumed = true FROM unnest($1::text[], $2::bigint[]) AS c(id, number)
        WHERE s.instance_id = c.id AND s.number = c.number
        """;

    /// <summary>The bits of the mask are those of <see cref="Projection.Change"/>.</summary>
    public const string UpdateProgress =
        """
        UPDATE instance AS i SET
          status = CASE WHEN p.mask & 1 <> 0 THEN p.status ELSE i.status END,
          attempt = CASE WHEN p.mask & 2 <> 0 THEN p.attempt ELSE i.attempt END,
          checkpoint_id = CASE WHEN p.mask & 4 <> 0 THEN p.checkpoint_id ELSE i.checkpoint_id END,
          started_at = CASE WHEN p.mask & 8 <> 0 THEN COALESCE(i.started_at, p.started_at) ELSE i.started_at END,
          wake_at = CASE WHEN p.mask & 16 <> 0 THEN p.wake_at ELSE i.wake_at END,
          retry_count = CASE WHEN p.mask & 32 <> 0 THEN p.retry_count ELSE i.retry_count END,
          finished_at = CASE WHEN p.mask & 64 <> 0 THEN p.finished_at ELSE i.finished_at END
        FROM unnest($1::text[], $2::int[], $3::smallint[], $4::int[], $5::text[], $6::bigint[], $7::bigint[], $8::int[],
          $9::bigint[]) AS p(id, mask, status, attempt, checkpoint_id, started_at, wake_at, retry_count, finished_at)
        WHERE i.instance_id = p.id
        """;

    /// <summary>The bits of the mask are those of <see cref="Projection.Change"/>.</summary>
    public const string UpdateResults =
        """
        UPDATE instance AS i SET
          error = CASE WHEN p.mask & 128 <> 0 THEN p.error ELSE i.error END,
          output = CASE WHEN p.mask & 256 <> 0 THEN p.output ELSE i.output END,
          stderr = CASE WHEN p.mask & 512 <> 0 THEN p.stderr ELSE i.stderr END,
          memory_peak_bytes = CASE WHEN p.mask & 1024 <> 0 THEN p.memory ELSE i.memory_peak_bytes END,
          cpu_usec = CASE WHEN p.mask & 2048 <> 0 THEN p.cpu ELSE i.cpu_usec END
        FROM unnest($1::text[], $2::int[], $3::text[], $4::bytea[], $5::text[], $6::bigint[], $7::bigint[])
          AS p(id, mask, error, output, stderr, memory, cpu)
        WHERE i.instance_id = p.id
        """;

    /// <summary>Which of the given first rows of units are there, by their own writer.</summary>
    public const string FindStored =
        """
        SELECT u.n FROM unnest($1::text[], $2::bigint[], $3::text[]) WITH ORDINALITY AS u(id, seq, writer, n)
        JOIN journal j ON j.persistence_id = u.id AND j.seq = u.seq AND j.writer = u.writer
        """;

    public const string ReplayBounds =
        """
        SELECT r.n, GREATEST(COALESCE(m.seq, 0), COALESCE(d.deleted_to, 0)), COALESCE(d.deleted_to, 0)
        FROM unnest($1::text[]) WITH ORDINALITY AS r(id, n)
        LEFT JOIN LATERAL (
          SELECT seq FROM journal WHERE persistence_id = r.id ORDER BY seq DESC LIMIT 1) AS m ON true
        LEFT JOIN journal_deleted d ON d.persistence_id = r.id
        """;

    public const string ReplayRows =
        """
        SELECT r.n, j.seq, j.at, j.serializer, j.manifest, j.writer, j.payload
        FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS r(id, lo, hi, most, n)
        LEFT JOIN journal_deleted d ON d.persistence_id = r.id
        CROSS JOIN LATERAL (
          SELECT * FROM journal
          WHERE persistence_id = r.id AND seq >= GREATEST(r.lo, COALESCE(d.deleted_to, 0) + 1) AND seq <= r.hi
          ORDER BY seq LIMIT r.most) AS j
        """;

    public const string RememberDeleted =
        """
        INSERT INTO journal_deleted (persistence_id, deleted_to)
        SELECT $1, LEAST($2, max(seq)) FROM journal WHERE persistence_id = $1 HAVING max(seq) IS NOT NULL
        ON CONFLICT (persistence_id) DO UPDATE
          SET deleted_to = GREATEST(journal_deleted.deleted_to, EXCLUDED.deleted_to)
        """;

    public const string DeleteRows = "DELETE FROM journal WHERE persistence_id = $1 AND seq <= $2";

    public const string ReadCheckpoints =
        """
        SELECT r.n, c.state FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS r(id, key, n)
        JOIN checkpoint c ON c.instance_id = r.id AND c.checkpoint_id = r.key
        """;
}
