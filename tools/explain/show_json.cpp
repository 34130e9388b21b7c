#include <nlohmann/json.hpp>

#include "tools/explain/reason.h"
#include "tools/explain/show.h"
#include "tools/explain/words.h"
#include "tools/inspect/describe.h"

namespace millrace::explain {
namespace {

using inspect::describe;
using nlohmann::ordered_json;

const inspect::Names kNumbers;  // ids stay numbers: names stand beside them

ordered_json range_json(const LogRange& r) {
    return {{"first_seq", r.first.value},
            {"last_seq", r.last.value},
            {"first_time_ns", r.first_time.value},
            {"last_time_ns", r.last_time.value}};
}

template <class T>
ordered_json described(const std::vector<T>& all) {
    ordered_json out = ordered_json::array();
    for (const T& one : all) {
        out.push_back(describe(one, kNumbers));
    }
    return out;
}

ordered_json step_json(const Step& step, const Book& book) {
    const auto row = step.row.as<OrderRow>();
    return {{"seq", step.row.seq.value},
            {"time_ns", step.row.time.value},
            {"status", to_string(row.status)},
            {"reason", to_string(static_cast<Reason>(row.reason))},
            {"retcode", row.retcode},
            {"retcode_text", retcode_text(row.retcode, class_of(row.retcode, row))},
            {"cause_text", step.cause ? cause_text(*step.cause, book, &row) : ""},
            {"why", step.why},
            {"row", describe(step.row, kNumbers)},
            {"cause", step.cause ? describe(*step.cause, kNumbers) : ordered_json(nullptr)}};
}

ordered_json order_json(const Story& story, const OrderStory& order, const Book& book) {
    const OrderRow row = order.last();
    ordered_json steps = ordered_json::array();
    for (const Step& step : order.steps) {
        steps.push_back(step_json(step, book));
    }
    const auto fix = story.account.remedies.find(order.intent);
    return {{"intent", order.intent},
            {"magic", row.magic.value},
            {"signal", id_text(row.signal)},
            {"account", book.account(order.account)},
            {"symbol", book.symbol(row.symbol)},
            {"type", command_word(row.type)},
            {"side", side_word(row.side)},
            {"volume", number(row.volume.value)},
            {"executed", number(row.cum_volume.value)},
            {"avg_price", number(row.avg_price.value)},
            {"status", to_string(row.status)},
            {"reason", to_string(static_cast<Reason>(row.reason))},
            {"sized", order.sized},
            {"remedy", fix == story.account.remedies.end() ? "" : fix->second},
            {"steps", steps},
            {"deals", described(order.deals)},
            {"reports", described(order.reports)},
            {"left_out", order.left_out}};
}

ordered_json signal_json(const Story& story) {
    return {{"id", id_text(story.subject.signal)},
            {"sent", described(story.signal.sent)},
            {"rows", described(story.signal.rows)},
            {"why", story.signal.why},
            {"absent", story.signal.absent}};
}

ordered_json account_json(const Story& story, const Book& book) {
    const AccountStory& a = story.account;
    ordered_json events = ordered_json::array();
    for (const AccountEvent& e : a.events) {
        events.push_back(e.is_effect ? describe(e.effect, kNumbers) : describe(e.record, kNumbers));
    }
    return {{"name", book.account(story.subject.account)},
            {"id", story.subject.account.value},
            {"state", a.last ? ordered_json(to_string(a.last->state)) : ordered_json(nullptr)},
            {"link", a.last ? ordered_json(to_string(a.last->link)) : ordered_json(nullptr)},
            {"limits", a.limits},
            {"kills", a.kills},
            {"events", events},
            {"left_out", a.left_out}};
}

}  // namespace

std::string story_json(const Story& story, const Book& book) {
    static constexpr const char* kWhat[] = {"signal", "order", "account"};
    ordered_json orders = ordered_json::array();
    for (const auto& [intent, order] : story.orders) {
        orders.push_back(order_json(story, order, book));
    }
    ordered_json j{{"what", kWhat[static_cast<std::size_t>(story.subject.what)]},
                   {"asked", story.subject.text},
                   {"from", "logs"}};
    if (story.subject.what == Subject::What::Account) {
        j["account"] = account_json(story, book);
    } else {
        j["signal"] = signal_json(story);
    }
    j["orders"] = orders;
    j["journal"] = range_json(story.journal);
    j["effects"] = range_json(story.effects);
    j["notes"] = story.notices;
    return j.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace millrace::explain
