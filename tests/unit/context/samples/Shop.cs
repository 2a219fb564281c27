using System.Linq;
using Shop.Prices;

namespace Shop
{
    public delegate void Changed(Order order);

    public interface IPriced
    {
        double Price();
    }

    public record Item(string Name);

    public enum State { Open, Paid }

    public class Order : Base
    {
        private int limit = 10;

        public string Name { get; set; }

        public Order(string name)
        {
            Name = name;
        }

        public double Total() => Items.Sum(item => item.Price());
    }
}
