"""``/label-sets``: the named vocabularies that a recognition can refer to."""

from fastapi import APIRouter

from service.api.dependencies import GatewayDep
from service.api.schemas import LabelOut, LabelSetList, LabelSetOut, LabelSetSummary, Problem

router = APIRouter(prefix="/label-sets")


@router.get("")
async def list_label_sets(gateway: GatewayDep) -> LabelSetList:
    """List the label sets."""
    return LabelSetList(
        label_sets=tuple(LabelSetSummary.of(label_set) for label_set in gateway.answering.label_sets.all())
    )


@router.get("/{name}", responses={404: {"model": Problem}})
async def show_label_set(name: str, gateway: GatewayDep) -> LabelSetOut:
    """Show one label set with its labels."""
    label_set = gateway.answering.label_sets.find(name)
    labels = tuple(LabelOut.of(label) for label in label_set.labels)
    return LabelSetOut(**LabelSetSummary.of(label_set).model_dump(), labels=labels)
