"""How a plan looks on a console."""

from rich.table import Table

from service.capacity.plan import Plan


def render_plan(plan: Plan) -> Table:
    """One line a figure."""
    machines, outcome = plan.machines, plan.outcome
    table = Table("", "", box=None, show_header=False)
    table.columns[1].justify = "right"
    table.add_row(f"gateways, {machines.num_workers} decoding processes each", str(machines.num_gateways))
    table.add_row(f"encoders, at most {machines.max_views} views a call", str(machines.num_encoders))
    table.add_row("answers, p50 / p99", f"{1000 * outcome.p50_seconds:.0f} / {1000 * outcome.p99_seconds:.0f} ms")
    table.add_row("waiting for a gateway, p99", f"{1000 * outcome.gateway_wait_seconds:.0f} ms")
    table.add_row("waiting for an encoder, p99", f"{1000 * outcome.encoder_wait_seconds:.0f} ms")
    table.add_row("uploads", f"{plan.uploads_megabits_per_second:.0f} Mbit/s")
    table.add_row("views to encoders", f"{plan.views_megabits_per_second:.0f} Mbit/s")
    return table
