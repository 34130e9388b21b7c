#include "tools/explain/from_store.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/explain/show.h"
#include "tools/query/print.h"

namespace millrace::explain {
namespace {

struct Part {
    HistoryOf of;
    const char* name;
};
constexpr std::array kParts{Part{HistoryOf::Signals, "signals"}, Part{HistoryOf::Orders, "orders"},
                            Part{HistoryOf::Executions, "executions"}};

/// Restricts `query` to the subject. @return false if this kind of row is not about it.
bool restrict_to(const Subject& subject, HistoryQuery& query) {
    switch (subject.what) {
        case Subject::What::Signal: query.signal = id_text(subject.signal); return true;
        case Subject::What::Order: query.intent = subject.intent; return true;
        case Subject::What::Account:
            query.account = std::to_string(subject.account.value);
            query.limit = 20;
            return query.of != HistoryOf::Signals;
    }
    return false;
}

}  // namespace

bool tell_from_store(const Subject& subject, const Where& where, bool json, std::string& out,
                     std::string& message) {
    if (where.store.empty()) {
        message = "none is known (-c FILE or --store FILE names it)";
        return false;
    }
    nlohmann::ordered_json parts = nlohmann::ordered_json::object();
    std::string text = "note: the logs of " + where.dir +
                       " have nothing of it any more; how it ended, from the store " + where.store +
                       " (not why):\n";
    bool any = false;
    for (const Part& part : kParts) {
        HistoryQuery query;
        query.of = part.of;
        if (!restrict_to(subject, query)) {
            continue;
        }
        const auto history = ask_history(where.store, query, message);
        if (!history) {
            return false;
        }
        any = any || !history->rows.empty();
        text +=
            std::string{"\n"} + part.name + "\n" + print_history(*history, HistoryFormat::Table);
        parts[part.name] =
            nlohmann::ordered_json::parse(print_history(*history, HistoryFormat::Json));
    }
    if (!any) {
        message = where.store + " has nothing of it either";
        return false;
    }
    static constexpr const char* kWhat[] = {"signal", "order", "account"};
    const nlohmann::ordered_json j{{"what", kWhat[static_cast<std::size_t>(subject.what)]},
                                   {"asked", subject.text},
                                   {"from", "store"},
                                   {"store", parts}};
    out = json ? j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"
               : text;
    return true;
}

}  // namespace millrace::explain
