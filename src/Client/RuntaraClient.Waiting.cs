namespace Runtara.Client;

public sealed partial class RuntaraClient
{
    private static readonly TimeSpan LongestPoll = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestOutage = TimeSpan.FromMinutes(2);

    /// <summary>Waits until an instance is final, over restarts of the server of up to two minutes.</summary>
    /// <param name="instanceId">Id.</param>
    /// <param name="poll">Time between the first questions; it grows to 5 s. Default 500 ms.</param>
    /// <param name="deadline">Longest wait; null for ever.</param>
    /// <param name="progress">Told of every answer.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <returns>The instance, completed, failed or cancelled.</returns>
    /// <exception cref="WaitDeadlineException">Not final by the deadline; the instance goes on.</exception>
    /// <exception cref="InstanceNotFoundException">There is none.</exception>
    public async Task<InstanceInfo> WaitAsync(
        string instanceId,
        TimeSpan? poll = null,
        TimeSpan? deadline = null,
        IProgress<InstanceInfo>? progress = null,
        CancellationToken ct = default)
    {
        var interval = poll ?? TimeSpan.FromMilliseconds(500);
        var (begun, heardAt) = (_options.Time.GetTimestamp(), _options.Time.GetTimestamp());
        while (true)
        {
            try
            {
                var info = await GetInstanceStatusAsync(instanceId, ct);
                heardAt = _options.Time.GetTimestamp();
                progress?.Report(info);
                if (info.Status.IsFinal())
                    return info;
            }
            catch (RuntaraException outage) when (outage is RuntaraConnectionException or RuntaraTimeoutException
                && _options.Time.GetElapsedTime(heardAt) < LongestOutage)
            {
                // The server restarts; the instance is durable, so asking on is all there is to do.
            }

            var left = (deadline ?? TimeSpan.MaxValue) - _options.Time.GetElapsedTime(begun);
            if (left <= TimeSpan.Zero)
            {
                throw new WaitDeadlineException(
                    $"Instance '{instanceId}' is not final after {deadline}.",
                    "It goes on; wait again, or stop it.");
            }

            await Task.Delay(left < interval ? left : interval, _options.Time, ct);
            interval = interval >= LongestPoll ? interval : Min(interval * 1.2, LongestPoll);
        }
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
