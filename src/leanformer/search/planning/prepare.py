"""All that comes before any work of a search: what is wrong is said first, then the plan."""

from leanformer.core.machine.device import find_device
from leanformer.data import Dataset
from leanformer.recipe import align_labels
from leanformer.search.judged import check_gold
from leanformer.search.opening import Opened, open_checked
from leanformer.search.planning.facts import work_of_search
from leanformer.search.planning.plan import Plan, make_plan
from leanformer.search.request import Request
from leanformer.tasks import served_kind


def prepare(request: Request) -> tuple[Dataset, Opened, Plan]:
    """All that comes before any work: the data, checked; the model, opened; the plan.

    Raises:
        OSError: A file is missing.
        ValueError: Data or model are not as they must be.
    """
    find_device(request.device)
    dataset = request.data.read()
    if not request.fresh_head:
        dataset = align_labels(dataset, request.model)
    served_kind(dataset.task.kind)
    check_gold(dataset)
    opened = open_checked(request, dataset)
    plan = make_plan(
        request,
        dataset,
        opened.model,
        opened.tokenizer,
        work_of_search(request, dataset, opened.layers),
    )
    return dataset, opened, plan
