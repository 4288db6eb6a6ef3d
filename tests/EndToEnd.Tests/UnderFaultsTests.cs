using Runtara.EndToEnd.Tests.Harness;

namespace Runtara.EndToEnd.Tests;

// The same stories, while of a hundred calls to the database five fail before, five fail after and five are late:
// they end as they do without.

[Collection(DaemonCollection.Name)]
public sealed class LifeOfAnInstanceUnderFaultsTests(WorkflowImage workflow, Databases databases)
    : LifeOfAnInstanceTests(workflow, databases)
{
    protected override int FaultPercent => Five;
}

[Collection(DaemonCollection.Name)]
public sealed class ContainersOutliveUnderFaultsTests(WorkflowImage workflow, Databases databases)
    : ContainersOutliveTests(workflow, databases)
{
    protected override int FaultPercent => Five;
}

[Collection(PatientCollection.Name)]
public sealed class ResumeUnderFaultsTests(WorkflowImage workflow, Databases databases)
    : ResumeTests(workflow, databases)
{
    protected override int FaultPercent => Five;
}

[Collection(DaemonCollection.Name)]
public sealed class ManyStartsUnderFaultsTests : ManyStartsTests
{
    protected override int FaultPercent => Five;
}

[Collection(PatientCollection.Name)]
public sealed class RetentionUnderFaultsTests(WorkflowImage workflow) : RetentionTests(workflow)
{
    protected override int FaultPercent => Five;
}
