using Runtara.EndToEnd.Tests.Harness;

namespace Runtara.EndToEnd.Tests;

// The same stories, while of a hundred calls to the database five fail before, five fail after and five are late:
// they end as they do without.

[Collection(DaemonCollection.Name)]
public sealed class LifeOfAnInstanceUnderFaultsTests(
    WorkflowImage workflow, Databases databases, ITestOutputHelper output)
    : LifeOfAnInstanceTests(workflow, databases, output)
{
    protected override int FaultPercent => Five;
}

[Collection(DaemonCollection.Name)]
public sealed class ContainersOutliveUnderFaultsTests(
    WorkflowImage workflow, Databases databases, ITestOutputHelper output)
    : ContainersOutliveTests(workflow, databases, output)
{
    protected override int FaultPercent => Five;
}

[Collection(PatientCollection.Name)]
public sealed class ResumeUnderFaultsTests(WorkflowImage workflow, Databases databases, ITestOutputHelper output)
    : ResumeTests(workflow, databases, output)
{
    protected override int FaultPercent => Five;
}

[Collection(DaemonCollection.Name)]
public sealed class ManyStartsUnderFaultsTests(ITestOutputHelper output) : ManyStartsTests(output)
{
    protected override int FaultPercent => Five;
}

[Collection(OutageCollection.Name)]
public sealed class RetentionUnderFaultsTests(
    WorkflowImage workflow, Databases databases, ITestOutputHelper output)
    : RetentionTests(workflow, databases, output)
{
    protected override int FaultPercent => Five;
}
