// millrace: the pipeline and everything to run it with. Start reading here.
//
//   strategies, TCP ─▶ ingress ─▶ ENGINE ─▶ broker ─▶ terminals      signals become orders
//                        ▲          │ ▲        │
//                     results ◀─────┘ └─ reports                     what became of them
//                                   ▼
//                                journal ─▶ replica ─▶ sqlite        what happened, for ever
//
// `millrace up` is the supervisor (supervisor.h): it starts one process per stage (stages.h builds
// them, runner.h gives them a thread) and restarts what dies. All other words are for operators.
#include "tools/millrace/all_commands.h"
#include "tools/millrace/role_gate.h"
#include "tools/millrace/stages.h"

#include "shm/clock.h"
#ifdef MILLRACE_READERS
#include "tools/inspect/inspect.h"
#endif

namespace {

constexpr const char* kHelp =
    "Millrace executes each trade signal on every subscribed account at most once, and provably.\n"
    "\n"
    "  run          millrace up -c FILE          look     millrace inspect top\n"
    "  stop         millrace down                check    millrace config check FILE\n"
    "  now          millrace positions           why      millrace explain signal ID\n"
    "  history      millrace query orders -c FILE\n"
    "  EMERGENCY    millrace kill --all --cancel --flatten\n"
    "               (stops every account, cancels our pending orders, closes our positions)";

}  // namespace

int main(int argc, char** argv) {
    using namespace millrace;
    Command command;
    command.executed_ns = monotonic_ns();
#ifdef MILLRACE_READERS
    if (argc > 1 && std::string_view{argv[1]} == "inspect") {
        return inspect_main(argc - 1, argv + 1);
    }
#endif
    CLI::App app{kHelp, "millrace"};
    app.require_subcommand(1);
    add_all_commands(app, command);
    CLI11_PARSE(app, argc, argv);
    if (!permitted(app)) {
        return kExitNotPermitted;
    }
    return command.run ? command.run() : 1;
}
