#include "tools/explain/story.h"

#include <fmt/core.h>

#include "tools/explain/collect.h"

namespace millrace::explain {

Story tell_story(const Subject& subject, const Where& where) {
    Story story;
    story.subject = subject;
    story.notices = where.notices;
    Collector collector{story, where};
    const Scanned effects = scan_effects(where.dir, [&](const Effect& e) {
        collector.effect(e);
        return true;
    });
    collector.effects_done();
    const Scanned journal = scan_journal(where.dir, where.segment.get(), [&](const auto& r) {
        collector.record(r);
        return true;
    });
    collector.journal_done();
    story.effects = effects.range;
    story.journal = journal.range;
    for (const Scanned* s : {&effects, &journal}) {
        if (!s->fault.empty()) {
            story.notices.push_back(s->fault);
        }
    }
    const bool causes_gone =
        !story.orders.empty() && !journal.range.empty() &&
        story.orders.begin()->second.steps.front().row.seq < journal.range.first;
    if (causes_gone) {
        story.notices.push_back(
            fmt::format("the journal goes back to record {} only: what made the changes before it "
                        "is not known any more",
                        journal.range.first.value));
    }
    story.effects_cut = effects.cut;
    if (story.effects_cut && !effects.range.empty()) {
        story.notices.push_back(
            fmt::format("the effects log goes back to record {} only: orders that last changed "
                        "before it are not told; `millrace orders` shows what is open",
                        effects.range.first.value));
    }
    return story;
}

}  // namespace millrace::explain
