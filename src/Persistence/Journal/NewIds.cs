namespace Runtara.Persistence.Journal;

/// <summary>
/// What a recovery found when it looked for its snapshot: an id that has nothing, as every new instance, has no events
/// either, and the second half of its recovery needs no look at the database. A write meanwhile takes that back.
/// </summary>
internal sealed class NewIds
{
    // An actor that ends between the two halves leaves its search here. Those that are forgotten look twice.
    private const int SearchesMax = 4096;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Search> _searches = [];

    /// <summary>A recovery is about to look.</summary>
    public Search Begin(string persistenceId)
    {
        var search = new Search();
        lock (_gate)
        {
            if (_searches.Count >= SearchesMax)
                _searches.Clear();
            _searches[persistenceId] = search;
        }
        return search;
    }

    /// <summary>A write has come.</summary>
    public void Write(string persistenceId)
    {
        lock (_gate)
            _searches.Remove(persistenceId);
    }

    /// <summary>Whether its last search found nothing, and nothing was written since. Asked once.</summary>
    public bool Take(string persistenceId)
    {
        lock (_gate)
            return _searches.Remove(persistenceId, out var search) && search.FoundNothing;
    }

    /// <summary>One look.</summary>
    public sealed class Search
    {
        private volatile bool _foundNothing;

        /// <summary>Whether the database has neither events nor a snapshot, nor had any that were deleted.</summary>
        public bool FoundNothing
        {
            get => _foundNothing;
            set => _foundNothing = value;
        }
    }
}
