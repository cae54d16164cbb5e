/* Which way is better, and of what a figure is: asv's pages do not say. */
$(document).ready(function () {
    var directions = [
        [/\.time(raw)?_/, "Seconds a call, of a batch in streams. Lower is better ↓"],
        [/\.track_ratio/, "BASELINE’s time over the contender’s. Higher is faster ↑"],
        [/\.track_share/, "Part of what memory allows. Higher is faster ↑"],
        [/\.track_(value_)?digits/, "Correct decimal digits. Higher is better ↑"],
        [/\.track_memory/, "MiB that a fit takes beyond its data. Lower is better ↓"],
        [/\.track_(cost|growth)/, "Cost of a value. Lower is better ↓"]
    ];
    $.asv.show_direction = function (name) {
        var found = directions.filter(function (each) { return each[0].test(name); });
        $("#direction").text(found.length ? found[0][1] : "");
    };
});
