// The account as the terminal shows it: whether its lists can be believed, whether it may trade,
// and what a magic number has become in it. Reading is all that happens here.
//
// Right after a connection the terminal is still downloading what it missed. Its lists are believed
// after an unbroken connection of ready_ms, and when two readings some time apart agree. An empty
// or failed read is never "flat".

#include "Link.mqh"

#define DAY_S 86400
#define BLIND_MS_MAX 1000
#define LOOK_BACK_S (30 * DAY_S)
// Deals of the kill switch: tag 0, "KILL" in ASCII, so that no look-up takes them for an intent's.
#define KILL_MAGIC 0x4B494C4C

// DEAL_REASON_CORPORATE_ACTION: older compilers do not know the name.
#define REASON_CORPORATE_ACTION 10

// For so long the second half of what the server did to a position may stay away, by its clock.
#define TECHNICAL_S 60

#define FOUND_NOTHING 0
#define FOUND_FLYING 1   // the broker has it, and is not done with it
#define FOUND_SETTLED 2  // status says how it stands

/// What a magic number has become in the account.
struct Found
{
    int stage;
    int status;  // FIX OrdStatus, if settled
    bool pending;
    ulong order;
    ulong deal;  // last one
    ulong position;
    bool opens;  // its last deal opened the position, or added to it
    int side;
    long volume;
    long requested;
    double price;  // volume-weighted
    long time_msc;
    string symbol;
    ulong deals[];
};

bool is_pending_type(const long type)
{
    return type >= ORDER_TYPE_BUY_LIMIT && type <= ORDER_TYPE_SELL_STOP_LIMIT;
}

int side_of_order(const long type)
{
    return (type == ORDER_TYPE_BUY || type == ORDER_TYPE_BUY_LIMIT || type == ORDER_TYPE_BUY_STOP ||
            type == ORDER_TYPE_BUY_STOP_LIMIT)
               ? SIDE_BUY
               : SIDE_SELL;
}

int side_of_deal(const long type) { return (type == DEAL_TYPE_BUY) ? SIDE_BUY : SIDE_SELL; }

bool is_trade(const long deal_type)
{
    return deal_type == DEAL_TYPE_BUY || deal_type == DEAL_TYPE_SELL;
}

/// The server's own book-keeping of a position that goes on: it is closed and opened again, or its
/// lots change, under the same identifier.
bool is_technical(const long reason)
{
    return reason == DEAL_REASON_ROLLOVER || reason == DEAL_REASON_VMARGIN ||
           reason == DEAL_REASON_SPLIT || reason == REASON_CORPORATE_ACTION;
}

/// Book-keeping after which a price is not what it was.
bool is_reshaping(const long reason)
{
    return reason == DEAL_REASON_SPLIT || reason == REASON_CORPORATE_ACTION;
}

/// Made by the server on its own, whatever magic it carries.
bool is_server_deal(const long reason)
{
    return reason == DEAL_REASON_SL || reason == DEAL_REASON_TP || reason == DEAL_REASON_SO ||
           is_technical(reason);
}

bool is_human(const long reason)
{
    return reason == DEAL_REASON_CLIENT || reason == DEAL_REASON_MOBILE ||
           reason == DEAL_REASON_WEB;
}

class Account
{
private:
    bool connected_;
    bool ready_;
    ulong polled_ms_;  // when the connection was last seen, or a server's answer proved it
    ulong connected_ms_;
    ulong counted_ms_;
    int counts_[4];

    bool count_again()
    {
        int now[4];
        if (!HistorySelect(0, TimeTradeServer() + DAY_S))
            return false;
        now[0] = PositionsTotal();
        now[1] = OrdersTotal();
        now[2] = HistoryOrdersTotal();
        now[3] = HistoryDealsTotal();
        bool same = true;
        for (int i = 0; i < 4; i++)
        {
            same = same && now[i] == counts_[i];
            counts_[i] = now[i];
        }
        return same;
    }

public:
    Account() { reset(); }

    /// Believes nothing any more. Globals outlive a change of the chart, so OnInit calls this.
    void reset()
    {
        connected_ = false;
        ready_ = false;
        polled_ms_ = 0;
        connected_ms_ = 0;
        counted_ms_ = 0;
        for (int i = 0; i < 4; i++)
            counts_[i] = -1;
    }

    bool connected() { return connected_; }
    bool ready() { return ready_; }
    /// Since when the connection has not been broken, ms of this run.
    ulong connected_ms() { return connected_ms_; }

    /// Is this terminal connected, and to the account and server that it was set up for? Asked
    /// again right before each request: a call that blocks may outlive a change of the account.
    bool may_send()
    {
        return TerminalInfoInteger(TERMINAL_CONNECTED) != 0 && is_configured();
    }

    /// Does the terminal show the account and server that it was set up for?
    bool is_configured()
    {
        return (ulong)AccountInfoInteger(ACCOUNT_LOGIN) == g_config.login &&
               AccountInfoString(ACCOUNT_SERVER) == g_config.server;
    }

    /// A request has come back. @param open without a definite answer: the connection may have been
    /// broken and made anew while the call blocked, so that nothing shown can be believed yet.
    void on_answer(const bool open)
    {
        if (open)
            reset();
        polled_ms_ = now_ms();
    }

    void update()
    {
        // What nobody looked at for so long may have been broken and made anew meanwhile.
        if (connected_ && now_ms() - polled_ms_ > BLIND_MS_MAX)
            reset();
        polled_ms_ = now_ms();
        bool is_connected = may_send();
        if (is_connected != connected_)
        {
            connected_ = is_connected;
            ready_ = false;
            connected_ms_ = now_ms();
            counted_ms_ = 0;
            counts_[0] = -1;
        }
        int apart_ms = g_config.ready_ms / 5;
        if (!connected_ || ready_ || now_ms() < counted_ms_ + (ulong)apart_ms)
            return;
        bool same = count_again();
        counted_ms_ = now_ms();
        ready_ = same && now_ms() >= connected_ms_ + (ulong)g_config.ready_ms;
    }

    /// Why no request can be sent, as a trade server return code; 0 = it can.
    uint refusal()
    {
        if (TerminalInfoInteger(TERMINAL_TRADE_ALLOWED) == 0 ||
            MQLInfoInteger(MQL_TRADE_ALLOWED) == 0)
            return TRADE_RETCODE_CLIENT_DISABLES_AT;
        if (AccountInfoInteger(ACCOUNT_TRADE_EXPERT) == 0)
            return TRADE_RETCODE_SERVER_DISABLES_AT;
        if (AccountInfoInteger(ACCOUNT_TRADE_ALLOWED) == 0)
            return TRADE_RETCODE_TRADE_DISABLED;
        return 0;
    }

    /// By every switch of terminal, program and server. Not whether it is the time to begin:
    /// connected() and ready() say that, and the engine holds what comes before.
    bool is_allowed() { return refusal() == 0; }

    /// Is the account known? A terminal that has just started shows none yet, and no margin mode.
    bool is_known()
    {
        return AccountInfoInteger(ACCOUNT_LOGIN) != 0 && AccountInfoString(ACCOUNT_SERVER) != "" &&
               AccountInfoString(ACCOUNT_CURRENCY) != "";
    }

    /// The broker's word on the account, whatever the switches of this terminal. Without a
    /// connection the terminal shows the same: then it is no word.
    bool is_forbidden()
    {
        return ready_ && may_send() &&
               (AccountInfoInteger(ACCOUNT_TRADE_ALLOWED) == 0 ||
                AccountInfoInteger(ACCOUNT_TRADE_EXPERT) == 0);
    }

    bool is_hedging()
    {
        return AccountInfoInteger(ACCOUNT_MARGIN_MODE) == ACCOUNT_MARGIN_MODE_RETAIL_HEDGING;
    }

    bool is_ours(const ulong magic)
    {
        ulong tag = g_journal.magic_tag;
        if (g_journal.command_epoch == 0)
            return false;  // no session yet: the tag is not known
        return magic != 0 && magic != KILL_MAGIC && (tag == 0 || magic_tag(magic) == tag);
    }

    /// Intent of a magic of ours; 0 = not ours.
    ulong own_intent(const ulong magic) { return is_ours(magic) ? magic_intent(magic) : 0; }

    /// Selects the open position with this identifier or ticket. @return false if there is none in
    /// the list, which proves something only while ready().
    bool select_position(const ulong ticket)
    {
        for (int i = 0; i < PositionsTotal(); i++)
        {
            ulong t = PositionGetTicket(i);  // selects it
            if (t != 0 && (t == ticket || (ulong)PositionGetInteger(POSITION_IDENTIFIER) == ticket))
                return true;
        }
        return false;
    }

    bool select_position_of(const string symbol)
    {
        for (int i = 0; i < PositionsTotal(); i++)
            if (PositionGetTicket(i) != 0 && PositionGetString(POSITION_SYMBOL) == symbol)
                return true;
        return false;
    }

    /// How much of a position is open by its deals, 1e-8 lots; -1 = they are not there. One that
    /// the server has closed to open it again counts as open until it has had time to.
    long open_volume(const ulong position_id);

    /// Goes through orders, history and deals for `magic`. @param since_s server time of the
    /// earliest that counts; 0 = thirty days back. @param expected volume asked for, where the
    /// order itself may not be shown yet; 0 = not known. @return false if a list could not be read:
    /// then nothing is known.
    bool look_up(const ulong magic, const long since_s, const long expected, Found &f);

    /// What a position's deals add up to, 1e-8 lots, buys above 0: all of them, and ours with those
    /// of the kill switch. @return false if a list could not be read.
    bool net_of_deals(const ulong position_id, long &net, long &ours);

    /// Is `volume` (1e-8 lots), whichever way, what the deals of a position add up to, and has no
    /// split or the like been among them for a day? @return false also if nobody can say.
    bool deals_explain(const ulong position_id, const long volume);

    /// Our first magic among the deals of a position that somebody else may have opened; 0 = none.
    ulong own_of(const ulong position_id);

    /// The magic of the deal that opened a position; 0 = not found.
    ulong opener_of(const ulong position_id);

    /// What the server said about a request, by its tickets: where it put another magic on it, or
    /// the time of its history is not where it was looked for. 0 = not known.
    void look_up_ticket(const ulong magic, const ulong order, const ulong deal, Found &f);
    /// A gateway may name the position of a deal late. On a hedging account it is the open one with
    /// the order's magic. @return false if there is none, and it may be named yet: without it nobody
    /// could close it, so what was found does not count as settled.
    bool name_position(const ulong magic, Found &f);
    /// How the one order `order` stands, with those of its deals that have not been told. @param
    /// position 0 = not known. @param dealt by all its deals, 1e-8 lots. @return false if the
    /// history could not be read.
    bool look_up_untold(const ulong magic, const ulong order, const ulong position, long &dealt,
                        Found &f);

    /// Highest intent with our tag in the account, open, working or past; 0 = none. @return false
    /// if a list could not be read.
    bool highest_intent(ulong &intent);
};

void clear_found(Found &f)
{
    f.stage = FOUND_NOTHING;
    f.status = 0;
    f.pending = false;
    f.order = 0;
    f.deal = 0;
    f.position = 0;
    f.opens = false;
    f.side = 0;
    f.volume = 0;
    f.requested = 0;
    f.price = 0;
    f.time_msc = 0;
    f.symbol = "";
    ArrayResize(f.deals, 0);
}

Account g_account;
