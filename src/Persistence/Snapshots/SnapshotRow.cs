namespace Runtara.Persistence.Snapshots;

/// <summary>A snapshot as it is stored. It counts only beside the event that it follows, which has this time.</summary>
internal sealed record SnapshotRow(
    string PersistenceId, long SequenceNr, long AtMicros, int SerializerId, string Manifest, byte[] Payload);

/// <summary>Which snapshot of an instance to remove: the one within all these bounds, if it is.</summary>
internal sealed record SnapshotDeletion(
    string PersistenceId, long FromSequenceNr, long ToSequenceNr, long FromMicros, long ToMicros);
